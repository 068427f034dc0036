//! The metrics as the text that Prometheus reads (feature `prometheus`), and served over HTTP (`prometheus-http`).

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

/// The exporter itself.
pub use metrics_exporter_prometheus as exporter;

use exporter::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::STAGE_SECONDS;

/// The bounds of the buckets of [`STAGE_SECONDS`], in seconds: 1 µs to 10 s.
pub const BUCKETS: [f64; 22] = [
    1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// How often the exporter moves what was timed into the buckets. In between it keeps each single time, 16 bytes or so.
const UPKEEP: Duration = Duration::from_secs(1);

/// The recorder of this process, once there is one.
static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);

/// Why there is no recorder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The exporter says why: the program has another recorder, say.
    #[error("metrics: {0}")]
    Exporter(#[from] BuildError),
    /// The address cannot be listened on.
    #[cfg(feature = "prometheus-http")]
    #[error("metrics on {address}: {error}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        error: BuildError,
    },
    /// The metrics are recorded already, and not served: [`serve`](Metrics::serve) has to be what installs.
    #[cfg(feature = "prometheus-http")]
    #[error("metrics on {0}: they are installed already")]
    Installed(std::net::SocketAddr),
    /// A thread or its runtime cannot be started.
    #[error("metrics: no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// The metrics of this process, recorded for Prometheus.
#[derive(Clone, Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Records from now on: call it before the pipelines are subscribed. A thread of its own keeps what is recorded
    /// small. Called again, it gives the same.
    ///
    /// # Errors
    /// [`InstallError`] where the process has another recorder, or no thread can be started.
    pub fn install() -> Result<Self, InstallError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*installed {
            return Ok(metrics.clone());
        }
        let metrics = Self { handle: builder()?.install_recorder()? };
        *installed = Some(metrics.clone());
        let handle = metrics.handle.clone();
        let upkeep = move || {
            loop {
                thread::sleep(UPKEEP);
                handle.run_upkeep();
            }
        };
        thread::Builder::new().name("rxevents-metrics".into()).spawn(upkeep)?;
        Ok(metrics)
    }

    /// As [`install`](Self::install), and answers HTTP requests on `address` with [`render`](Self::render), whatever
    /// their path, from a thread of its own until the process ends.
    ///
    /// ```no_run
    /// let metrics = rxevents::metrics::prometheus::Metrics::serve(([127, 0, 0, 1], 9_000).into())?;
    /// # Ok::<(), rxevents::metrics::prometheus::InstallError>(())
    /// ```
    ///
    /// # Errors
    /// [`InstallError`], with the address where that cannot be listened on; port 0 cannot, as nobody would know which it is.
    #[cfg(feature = "prometheus-http")]
    pub fn serve(address: std::net::SocketAddr) -> Result<Self, InstallError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if installed.is_some() {
            return Err(InstallError::Installed(address));
        }
        if address.port() == 0 {
            let error = BuildError::FailedToCreateHTTPListener("the port must be named".into());
            return Err(InstallError::Listen { address, error });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (recorder, exporter) = {
            let _enter = runtime.enter();
            let built = builder()?.with_http_listener(address).upkeep_timeout(UPKEEP).build();
            built.map_err(|error| InstallError::Listen { address, error })?
        };
        let metrics = Self { handle: recorder.handle() };
        super::facade::set_global_recorder(recorder).map_err(BuildError::from)?;
        *installed = Some(metrics.clone());
        let serve = move || drop(runtime.block_on(exporter));
        thread::Builder::new().name("rxevents-metrics".into()).spawn(serve)?;
        Ok(metrics)
    }

    /// All metrics of this process, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

/// The exporter with the [`BUCKETS`], for a recorder of your own; that must then be kept small by your own program, as
/// the exporter's documentation says.
///
/// # Errors
/// [`InstallError::Exporter`]; never with these buckets.
pub fn builder() -> Result<PrometheusBuilder, InstallError> {
    let seconds = Matcher::Full(STAGE_SECONDS.to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS)?)
}
