use crate::delivery::{Delivery, Receipt};

/// What is known of an event besides its value, and goes on with what is made of it.
///
/// `I` is an item of the source.
pub trait Carry<I> {
    /// What is put into windows.
    type Value;
    /// What goes on.
    type Receipt: Default;
    /// What is emitted of a window `W`.
    type Out<W>;
    /// Whether there is something to go on.
    const TRACKS: bool;
    /// The value of an item.
    fn value(item: &I) -> &Self::Value;
    /// What goes on of an item whose value is in a window.
    fn receipt(item: I) -> Self::Receipt;
    /// What goes on of both.
    fn join(of: &mut Self::Receipt, other: Self::Receipt);
    /// For another window that the events are of, too.
    fn share(of: &Self::Receipt) -> Self::Receipt;
    /// What is emitted.
    fn out<W>(window: W, receipt: Self::Receipt) -> Self::Out<W>;
}

/// Items that are their value: nothing goes on.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl<I> Carry<I> for Plain {
    type Value = I;
    type Receipt = ();
    type Out<W> = W;
    const TRACKS: bool = false;

    #[inline(always)]
    fn value(item: &I) -> &I {
        item
    }

    #[inline(always)]
    fn receipt(_item: I) {}

    #[inline(always)]
    fn join(_of: &mut (), _other: ()) {}

    #[inline(always)]
    fn share(_of: &()) {}

    #[inline(always)]
    fn out<W>(window: W, _receipt: ()) -> W {
        window
    }
}

/// [Deliveries](Delivery): their receipts go on.
#[derive(Debug, Clone, Copy)]
pub struct Acked;

impl<T> Carry<Delivery<T>> for Acked {
    type Value = T;
    type Receipt = Receipt;
    type Out<W> = Delivery<W>;
    const TRACKS: bool = true;

    fn value(item: &Delivery<T>) -> &T {
        item
    }

    fn receipt(item: Delivery<T>) -> Receipt {
        item.into_parts().1
    }

    fn join(of: &mut Receipt, other: Receipt) {
        of.join(other);
    }

    fn share(of: &Receipt) -> Receipt {
        of.clone()
    }

    fn out<W>(window: W, receipt: Receipt) -> Delivery<W> {
        Delivery::new(window, receipt)
    }
}
