use super::Latch;

/// See [`window_with`](super::WindowOps::window_with): one ends where the next one begins.
#[derive(Debug, Clone, Copy)]
pub struct ByNotifier;

impl<U, In> Latch<U, In> for ByNotifier {
    const NAMES: [&'static str; 2] = ["buffer_with", "window_with"];
    const GAPLESS: bool = true;

    fn closing(&mut self, _opening: Option<U>) -> Option<In> {
        None
    }
}

/// See [`window_toggle`](super::WindowOps::window_toggle).
#[derive(Debug, Clone)]
pub struct ByToggle<F> {
    pub(super) closing: F,
}

impl<U, In, F: FnMut(U) -> In> Latch<U, In> for ByToggle<F> {
    const NAMES: [&'static str; 2] = ["buffer_toggle", "window_toggle"];
    const GAPLESS: bool = false;

    fn closing(&mut self, opening: Option<U>) -> Option<In> {
        opening.map(&mut self.closing)
    }
}

/// See [`window_when`](super::WindowOps::window_when).
#[derive(Debug, Clone)]
pub struct ByClosing<F> {
    pub(super) closing: F,
}

impl<In, F: FnMut() -> In> Latch<(), In> for ByClosing<F> {
    const NAMES: [&'static str; 2] = ["buffer_when", "window_when"];
    const GAPLESS: bool = true;

    fn closing(&mut self, _opening: Option<()>) -> Option<In> {
        Some((self.closing)())
    }
}
