//! How long the source is kept.

use rxrust::{
    context::{RcDerefMut, Scope, SharedCell},
    subscription::Subscription,
};

/// Who still wants the source: the operator's subscriber, and open windows. When the last of them is gone, the gate of
/// the operator closes.
pub struct Keeper<Sc: Scope> {
    parties: Sc::RcMut<Parties<Sc::BoxedSubscription>>,
    /// The operator's subscriber is gone.
    left: Sc::RcCell<bool>,
    /// A window was full that nobody has subscribed to yet.
    overflowed: Sc::RcCell<bool>,
}

struct Parties<Sub> {
    outer: bool,
    windows: usize,
    gate: Option<Sub>,
}

impl<Sc: Scope> Clone for Keeper<Sc> {
    fn clone(&self) -> Self {
        Self { parties: self.parties.clone(), left: self.left.clone(), overflowed: self.overflowed.clone() }
    }
}

impl<Sc: Scope> Keeper<Sc> {
    pub(crate) fn new() -> Self {
        let parties = Parties { outer: true, windows: 0, gate: None };
        Self { parties: parties.into(), left: false.into(), overflowed: false.into() }
    }

    /// What to end when nobody is left.
    pub(crate) fn keep(&self, gate: Sc::BoxedSubscription) {
        self.parties.rc_deref_mut().gate = Some(gate);
    }

    /// Whether the operator's subscriber is still there.
    #[inline]
    pub(crate) fn listens(&self) -> bool {
        !self.left.get()
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed.get()
    }

    /// The operator's subscriber is gone.
    pub(crate) fn leave(&self) {
        self.left.set(true);
        self.change(|parties| parties.outer = false);
    }

    fn change(&self, change: impl FnOnce(&mut Parties<Sc::BoxedSubscription>)) {
        let over = {
            let mut parties = self.parties.rc_deref_mut();
            change(&mut parties);
            if parties.outer || parties.windows > 0 { None } else { parties.gate.take() }
        };
        if let Some(gate) = over {
            gate.unsubscribe();
        }
    }
}

/// An open window's part in the [`Keeper`].
pub struct Live<Sc: Scope> {
    keeper: Keeper<Sc>,
}

impl<Sc: Scope> Live<Sc> {
    pub(super) fn new(keeper: &Keeper<Sc>) -> Self {
        keeper.change(|parties| parties.windows += 1);
        Self { keeper: keeper.clone() }
    }

    /// It was full before it was subscribed.
    pub(super) fn overflow(&self) {
        self.keeper.overflowed.set(true);
    }
}

impl<Sc: Scope> Drop for Live<Sc> {
    fn drop(&mut self) {
        self.keeper.change(|parties| parties.windows -= 1);
    }
}

/// The subscription of an operator that gives windows: windows that are open go on, and keep the source.
pub struct OuterSubscription<Sc: Scope, G> {
    pub(crate) keeper: Keeper<Sc>,
    pub(crate) gate: G,
}

impl<Sc: Scope, G: Subscription> Subscription for OuterSubscription<Sc, G> {
    fn unsubscribe(self) {
        self.keeper.leave();
    }

    fn is_closed(&self) -> bool {
        self.gate.is_closed() || !self.keeper.listens()
    }
}
