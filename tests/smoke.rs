use rxevents::prelude::*;
use std::{cell::RefCell, convert::Infallible, rc::Rc};

#[test]
fn chain() {
    let log = Rc::new(RefCell::new(vec![]));
    let seen = log.clone();
    Local::from_iter(0..10)
        .map(|v| v * 2)
        .filter(|v| v % 4 == 0)
        .merge(Local::from_iter([100, 104]))
        .buffer_count(2)
        .flat_map(Local::from_iter)
        .take(5)
        .subscribe(move |v| seen.borrow_mut().push(v));
    assert_eq!(*log.borrow(), [0, 4, 8, 12, 16]);
}

#[test]
fn reentrant() {
    let a = Local::subject::<i32, Infallible>();
    let log = Rc::new(RefCell::new(vec![]));
    let (l, mut b) = (log.clone(), a.clone());
    a.clone().merge(a.clone()).subscribe(move |v| {
        l.borrow_mut().push(v);
        if v < 2 {
            b.next(v + 1)
        }
    });
    a.clone().next(0);
    println!("{:?}", log.borrow());
}

#[test]
fn shared() {
    let a = Shared::subject::<i32, Infallible>();
    let n = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let m = n.clone();
    a.clone().map(|v| v + 1).zip(a.clone()).subscribe(move |(x, y)| {
        assert_eq!(x, y + 1);
        m.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    });
    let (mut x, mut y) = (a.clone(), a.clone());
    let h = [std::thread::spawn(move || (0..100_000).for_each(|v| x.next(v))), std::thread::spawn(move || (0..100_000).for_each(|v| y.next(v)))];
    h.into_iter().for_each(|h| h.join().unwrap());
    assert_eq!(n.load(std::sync::atomic::Ordering::SeqCst), 200_000);
}
