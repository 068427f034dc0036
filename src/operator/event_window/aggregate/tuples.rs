use super::Aggregate;

macro_rules! tuples {
    ($($name:ident $at:tt),*) => {
        impl<T, $($name: Aggregate<T>),*> Aggregate<T> for ($($name,)*) {
            type Acc = ($($name::Acc,)*);
            type Out = ($($name::Out,)*);

            fn create(&self) -> Self::Acc {
                ($(self.$at.create(),)*)
            }

            #[inline]
            fn add(&self, acc: &mut Self::Acc, event: &T, at: i64) {
                $(self.$at.add(&mut acc.$at, event, at);)*
            }

            fn merge(&self, acc: &mut Self::Acc, other: &Self::Acc) {
                $(self.$at.merge(&mut acc.$at, &other.$at);)*
            }

            fn result(&self, acc: &Self::Acc) -> Self::Out {
                ($(self.$at.result(&acc.$at),)*)
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
