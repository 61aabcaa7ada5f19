//! Who is asked and told when the domain is suspended.

use std::cell::RefCell;
use std::future::ready;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mirust_executor::suspend::{Hooks, Part, Resumed};

type Trace = Rc<RefCell<Vec<&'static str>>>;

const GONE: Resumed = Resumed { away: Duration::from_secs(3), cancelled: false };

fn before(hooks: &Hooks, trace: &Trace, part: Part, name: &'static str, answer: Option<&str>) {
    let (trace, answer) = (trace.clone(), answer.map(String::from));
    hooks.before(
        part,
        Box::new(move || {
            trace.borrow_mut().push(name);
            Box::pin(ready(answer.clone().map_or(Ok(()), Err)))
        }),
    );
}

fn after(hooks: &Hooks, trace: &Trace, part: Part, name: &'static str) {
    let trace = trace.clone();
    hooks.after(
        part,
        Box::new(move |resumed| {
            assert_eq!(resumed, GONE);
            trace.borrow_mut().push(name);
            Box::pin(ready(()))
        }),
    );
}

fn done<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn programs_stand_on_devices() {
    let (hooks, trace) = (Hooks::default(), Trace::default());
    for (part, one, other) in [(Part::Program, "a", "A"), (Part::Device, "disk", "DISK")] {
        before(&hooks, &trace, part, one, None);
        after(&hooks, &trace, part, other);
    }
    before(&hooks, &trace, Part::Program, "b", None);
    after(&hooks, &trace, Part::Program, "B");
    assert_eq!(done(hooks.ask()), Ok(()));
    assert_eq!(trace.take(), ["b", "a", "disk"]);
    done(hooks.tell(GONE));
    assert_eq!(trace.take(), ["DISK", "A", "B"]);
}

#[test]
fn nobody_is_asked_after_a_refusal() {
    let (hooks, trace) = (Hooks::default(), Trace::default());
    before(&hooks, &trace, Part::Device, "disk", None);
    before(&hooks, &trace, Part::Program, "first", None);
    before(&hooks, &trace, Part::Program, "second", Some("not now"));
    assert_eq!(done(hooks.ask()), Err("not now".into()));
    assert_eq!(trace.take(), ["second"]);
}

#[test]
fn a_hook_may_register_another_for_the_next_time() {
    let (hooks, trace) = (Rc::new(Hooks::default()), Trace::default());
    let (again, noted) = (hooks.clone(), trace.clone());
    hooks.after(
        Part::Program,
        Box::new(move |_| {
            after(&again, &noted, Part::Program, "new");
            Box::pin(ready(()))
        }),
    );
    done(hooks.tell(GONE));
    assert!(trace.take().is_empty());
    done(hooks.tell(GONE));
    assert_eq!(trace.take(), ["new"]);
}
