//! Subjects: observers that are observables, for many subscribers.

/// What all subjects are: observables, and observers.
macro_rules! subject_impls {
    ($name:ident, $latest:ty) => {
        impl<T, E, Sc> rxrust::observable::ObservableType for $name<T, E, Sc>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
        {
            type Item<'a>
                = T
            where
                Self: 'a;
            type Err = E;
        }

        impl<T, E, Sc, C> rxrust::observable::CoreObservable<C> for $name<T, E, Sc>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            C: rxrust::context::Context<Scope = Sc>,
            C::Inner: $crate::operator::share::IntoListener<Sc::Listener>,
        {
            type Unsub = $crate::operator::share::SubjectSubscription<T, E, Sc, $latest>;

            fn subscribe(self, context: C) -> Self::Unsub {
                use $crate::operator::share::IntoListener;
                self.0.subscribe(context.into_inner().into_listener())
            }
        }

        impl<T, E, Sc> rxrust::observer::Observer<T, E> for $name<T, E, Sc>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
        {
            #[inline]
            fn next(&mut self, item: T) {
                self.0.send($crate::gate::Signal::Next(item));
            }

            fn error(self, error: E) {
                self.0.send($crate::gate::Signal::Error(error));
            }

            fn complete(self) {
                self.0.send($crate::gate::Signal::Complete);
            }

            #[inline]
            fn is_closed(&self) -> bool {
                self.0.ended()
            }
        }

        impl<T, E, Sc> $crate::operator::batch::BatchObserver<T, E> for $name<T, E, Sc>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
        {
            /// Gathers the items first, with no bound: they are to be at hand.
            fn take_batch<B: $crate::operator::batch::Batch<T>>(&mut self, items: &mut B) {
                self.0.send_batch(std::iter::from_fn(|| items.pull()).collect());
            }
        }

        impl<T, E, Sc> $crate::operator::batch::BatchSource for $name<T, E, Sc>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
        {
        }

        impl<T, E, Sc, C> rxrust::observable::CoreObservable<C>
            for $crate::operator::batch::Batched<$name<T, E, Sc>>
        where
            T: Clone + 'static,
            E: Clone + 'static,
            Sc: $crate::operator::share::Hosts<T, E>,
            C: rxrust::context::Context<Scope = Sc>,
            C::Inner: $crate::operator::share::IntoBatchListener<Sc::Listener>,
        {
            type Unsub = $crate::operator::share::SubjectSubscription<T, E, Sc, $latest>;

            fn subscribe(self, context: C) -> Self::Unsub {
                use $crate::operator::share::IntoBatchListener;
                self.0.0.subscribe(context.into_inner().into_batch_listener())
            }
        }
    };
}

mod behavior_subject;
mod subject;

pub use behavior_subject::*;
pub use subject::*;

use rxrust::context::{Local, LocalScope, Shared, SharedScope};

/// What `Local::subject` gives.
pub type LocalSubject<T, E> = Local<Subject<T, E, LocalScope>>;
/// What `Shared::subject` gives.
pub type SharedSubject<T, E> = Shared<Subject<T, E, SharedScope>>;
