use std::{io, thread};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::{Handle, Signals as Incoming},
};

use super::Pipeline;

/// Signals cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("SIGINT and SIGTERM cannot be taken: {0}")]
pub struct SignalError(#[from] io::Error);

/// Stops a pipeline when the process is told to end; see [`Pipeline::stop_on_signals`]. Until it is dropped.
pub struct Signals(Handle);

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Pipeline {
    /// [Stops](Self::stop) the pipeline at the first SIGINT or SIGTERM, by a thread of its own; at the second the process
    /// ends as it would have at the first. The program then [shuts it down](Self::shutdown).
    ///
    /// ```no_run
    /// use rxevents::pipeline::Pipeline;
    /// use std::time::Duration;
    ///
    /// let pipeline = Pipeline::new("payments");
    /// let _signals = pipeline.stop_on_signals()?;
    /// // … subscribe: sources complete when a signal comes …
    /// pipeline.shutdown(Duration::from_secs(25))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn stop_on_signals(&self) -> Result<Signals, SignalError> {
        let mut incoming = Incoming::new([SIGINT, SIGTERM])?;
        let handle = incoming.handle();
        let pipeline = self.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in incoming.forever() {
                if pipeline.is_stopping() {
                    // What the signal does by default, as nobody waits any more.
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                pipeline.stop();
            }
        })?;
        Ok(Signals(handle))
    }
}
