use std::hash::Hash;

use hashbrown::HashMap;

use super::Aggregate;
use crate::operator::key::FastHasher;

/// The `k` most frequent of what `f` names, of at most `bound` names that are counted at once (at least `k`): the
/// algorithm SpaceSaving (Metwally, Agrawal, El Abbadi 2005). Where a window has no more names than `bound` it is exact;
/// beyond, a count may be too high, by [`error`](Frequent::error) at most. The most frequent first; of equal counts, the
/// lesser name.
///
/// Time: O(1) for a name that is counted, O(`bound`) for a new one when all places are taken.
pub fn top_k<F>(k: usize, bound: usize, f: F) -> TopK<F> {
    TopK { k, bound: bound.max(k).max(1), f }
}

/// See [`top_k`].
#[derive(Debug, Clone, Copy)]
pub struct TopK<F> {
    k: usize,
    bound: usize,
    f: F,
}

/// A name, and how often it came.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Frequent<N> {
    /// The name.
    pub name: N,
    /// How often it came, at most.
    pub count: u64,
    /// By how much the count may be too high.
    pub error: u64,
}

type Counts<N> = HashMap<N, (u64, u64), FastHasher>;

/// The least by count, and then by name.
fn least<N: Ord + Clone>(counts: &Counts<N>) -> Option<(N, u64)> {
    let least = counts.iter().min_by(|a, b| a.1.0.cmp(&b.1.0).then_with(|| a.0.cmp(b.0)))?;
    Some((least.0.clone(), least.1.0))
}

impl<T, F, N> Aggregate<T> for TopK<F>
where
    F: Fn(&T) -> N,
    N: Hash + Ord + Clone,
{
    type Acc = Counts<N>;
    type Out = Vec<Frequent<N>>;

    fn create(&self) -> Counts<N> {
        HashMap::with_hasher(FastHasher::default())
    }

    fn add(&self, acc: &mut Counts<N>, event: &T, _at: i64) {
        let name = (self.f)(event);
        if let Some((count, _)) = acc.get_mut(&name) {
            *count += 1;
        } else if acc.len() < self.bound {
            acc.insert(name, (1, 0));
        } else if let Some((gone, count)) = least(acc) {
            acc.remove(&gone);
            acc.insert(name, (count + 1, count));
        }
    }

    /// A name that one of them does not know may have come there as often as its least one, if it was full.
    fn merge(&self, acc: &mut Counts<N>, other: &Counts<N>) {
        let most_unseen =
            |of: &Counts<N>| if of.len() < self.bound { 0 } else { least(of).map_or(0, |(_, count)| count) };
        let (here, there) = (most_unseen(acc), most_unseen(other));
        for (name, (count, error)) in acc.iter_mut() {
            let (more, wrong) = other.get(name).copied().unwrap_or((there, there));
            (*count, *error) = (*count + more, *error + wrong);
        }
        for (name, (count, error)) in other {
            acc.entry(name.clone()).or_insert((count + here, error + here));
        }
        while acc.len() > self.bound {
            let Some((gone, _)) = least(acc) else { return };
            acc.remove(&gone);
        }
    }

    fn result(&self, acc: &Counts<N>) -> Vec<Frequent<N>> {
        let all = acc.iter().map(|(name, (count, error))| Frequent {
            name: name.clone(),
            count: *count,
            error: *error,
        });
        let mut all: Vec<_> = all.collect();
        all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        all.truncate(self.k);
        all
    }
}
