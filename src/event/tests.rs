//! The loop as its users see it, with every poller.

use super::*;
use crate::sys::fd::pipe;
use crate::sys::socket;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

type Connection = Pin<Box<dyn Future<Output = ()>>>;

const METHODS: [Method; 3] = [Method::Epoll, Method::Poll, Method::Select];

fn new_loop(method: Method) -> Loop<Connection> {
    Loop::new(method, 16).unwrap()
}

/// Runs `test` as a task on a loop of each kind.
fn on_each<F: Future<Output = ()> + 'static>(test: impl Fn() -> F) {
    for method in METHODS {
        let event_loop = new_loop(method);
        let done = Rc::new(Cell::new(false));
        let (flag, test) = (done.clone(), test());
        spawn(async move {
            test.await;
            flag.set(true);
            stop();
        });
        spawn(async {
            sleep(Duration::from_secs(20)).await;
            stop();
        });
        event_loop.run();
        assert!(done.get(), "{method:?}: the test failed or hung");
    }
}

fn pair() -> (Io, Io) {
    let (a, b) = socket::pair().unwrap();
    (Io::new(a), Io::new(b))
}

fn soon() -> Option<Instant> {
    Some(now() + Duration::from_millis(20))
}

/// Fills the socket until it takes no more.
fn fill(io: &Io) {
    while io.try_send(&[b'x'; 65536], false).is_ok() {}
}

#[test]
fn reading_waits_for_bytes() {
    on_each(|| async {
        let (near, far) = pair();
        spawn(async move {
            sleep(Duration::from_millis(10)).await;
            far.try_send(b"hello", false).unwrap();
            far.readable(None).await.unwrap();
        });
        let mut buffer = Vec::new();
        assert_eq!(
            near.try_recv(&mut buffer, 10).unwrap_err().kind(),
            WouldBlock
        );
        near.readable(None).await.unwrap();
        assert_eq!(near.try_recv(&mut buffer, 10).unwrap(), 5);
    });
}

#[test]
fn writing_waits_for_room() {
    on_each(|| async {
        let (near, far) = pair();
        near.writable(None).await.unwrap();
        fill(&near);
        assert_eq!(near.writable(soon()).await.unwrap_err().kind(), TimedOut);
        let mut buffer = Vec::new();
        while far.try_recv(&mut buffer, 65536).is_ok() {}
        near.writable(None).await.unwrap();
    });
}

#[test]
fn reading_and_writing_are_awaited_together() {
    on_each(|| async {
        let (near, far) = pair();
        fill(&near);
        let late = Some(now() + Duration::from_secs(15));
        match race(near.writable(late), near.readable(soon())).await {
            Raced::Second(Err(error)) => assert_eq!(error.kind(), TimedOut),
            other => panic!("{other:?}"),
        }
        far.try_send(b"x", false).unwrap();
        match race(near.writable(late), near.readable(late)).await {
            Raced::Second(result) => result.unwrap(),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_deadline_ends_a_wait_and_the_next_wait_is_new() {
    on_each(|| async {
        let (near, far) = pair();
        assert_eq!(near.readable(soon()).await.unwrap_err().kind(), TimedOut);
        far.try_send(b"x", false).unwrap();
        near.readable(soon()).await.unwrap();
        // The deadline just set is moved to a later one, which counts.
        let mut buffer = Vec::new();
        near.try_recv(&mut buffer, 1).unwrap();
        let later = now() + Duration::from_millis(60);
        assert_eq!(
            near.readable(Some(later)).await.unwrap_err().kind(),
            TimedOut
        );
        assert!(now() >= later);
    });
}

#[test]
fn a_cancelled_wait_leaves_nothing_behind() {
    on_each(|| async {
        let (near, far) = pair();
        let soon = now() + Duration::from_millis(10);
        assert!(timeout(soon, near.readable(None)).await.is_err());
        far.try_send(b"x", false).unwrap();
        near.readable(None).await.unwrap();
        drop(near);
        far.hangup().await;
    });
}

#[test]
fn a_hangup_is_half_or_whole() {
    on_each(|| async {
        let (near, far) = pair();
        assert_eq!(
            timeout(now() + Duration::from_millis(10), near.hangup()).await,
            Err(Elapsed)
        );
        socket::shutdown(far.fd(), Shutdown::Write).unwrap();
        assert_eq!(near.hangup().await, Hangup::HalfClosed);
    });
    for method in [Method::Epoll, Method::Poll] {
        let event_loop = new_loop(method);
        spawn(async {
            let (near, far) = pair();
            drop(far);
            assert_eq!(near.hangup().await, Hangup::Dead);
            assert!(near.is_broken());
            stop();
        });
        event_loop.run();
    }
}

/// Counts the turns the loop makes in a stretch of time in which nobody wants anything.
fn turns_while_idle(method: Method, prepare: impl Fn() -> Box<dyn std::any::Any> + 'static) {
    let event_loop = new_loop(method);
    spawn(async move {
        let keep = prepare();
        sleep(Duration::from_millis(100)).await;
        drop(keep);
        stop();
    });
    let turns = executor::count_turns(|| event_loop.run());
    assert!(turns < 40, "{method:?}: {turns} turns");
}

/// A registered socket whose reading end nobody awaits any more.
async fn registered() -> (Io, Io) {
    let (near, far) = pair();
    let _ = near.readable(soon()).await;
    (near, far)
}

#[test]
fn a_hangup_or_bytes_that_nobody_awaits_do_not_spin() {
    for method in METHODS {
        for dies in [true, false] {
            let event_loop = new_loop(method);
            spawn(async move {
                let (near, far) = registered().await;
                far.try_send(b"x", false).unwrap();
                let far = (!dies).then_some(far);
                sleep(Duration::from_millis(100)).await;
                near.readable(None).await.unwrap();
                drop(far);
                stop();
            });
            let turns = executor::count_turns(|| event_loop.run());
            assert!(turns < 40, "{method:?}: {turns} turns");
        }
        turns_while_idle(method, || Box::new(pair()));
    }
}

#[test]
fn a_closed_descriptor_that_another_process_holds_reports_nothing() {
    on_each(|| async {
        let (near, far) = registered().await;
        let elsewhere = near.fd().try_clone_to_owned().unwrap();
        drop(near);
        far.try_send(b"x", false).unwrap();
        sleep(Duration::from_millis(10)).await;
        drop(elsewhere);
    });
}

#[test]
fn an_event_of_a_closed_source_does_not_reach_its_successor() {
    for method in METHODS {
        let event_loop = new_loop(method);
        let woken = Rc::new(Cell::new(0));
        let log = woken.clone();
        spawn(async move {
            let (a, a_far) = pair();
            let (b, b_far) = pair();
            // Both become ready in one batch; whoever is polled first closes the other's
            // place and takes it for a descriptor that is not ready.
            let first = Rc::new(RefCell::new(Some(b)));
            let theirs = first.clone();
            spawn(async move {
                let Some(io) = theirs
                    .borrow()
                    .as_ref()
                    .map(|io| io.fd().try_clone_to_owned())
                else {
                    return;
                };
                let io = Io::new(io.unwrap());
                io.readable(None).await.unwrap();
                log.set(log.get() + 1);
            });
            yield_now().await;
            a_far.try_send(b"x", false).unwrap();
            b_far.try_send(b"x", false).unwrap();
            a.readable(None).await.unwrap();
            first.take();
            let (fresh, _keep) = pair();
            assert_eq!(fresh.readable(soon()).await.unwrap_err().kind(), TimedOut);
            stop();
        });
        event_loop.run();
        assert_eq!(woken.get(), 1);
    }
}

#[test]
fn a_regular_file_is_always_ready() {
    on_each(|| async {
        let file = Io::new(tempfile::tempfile().unwrap().into());
        file.readable(soon()).await.unwrap();
        file.writable(soon()).await.unwrap();
    });
}

#[test]
fn a_pipe_ends_when_its_writer_is_gone() {
    on_each(|| async {
        let (reader, writer) = pipe().unwrap();
        let (reader, writer) = (Io::new(reader), Io::new(writer));
        spawn(async move {
            sleep(Duration::from_millis(10)).await;
            writer.try_write(b"last").unwrap();
        });
        let mut buffer = Vec::new();
        loop {
            reader.readable(None).await.unwrap();
            if reader.try_read(&mut buffer, 10).unwrap() == 0 {
                break;
            }
        }
        assert_eq!(buffer, b"last");
    });
}

#[test]
fn a_panic_ends_only_its_task() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("in drop"));
        }
    }
    for method in METHODS {
        let event_loop = new_loop(method);
        let handle = event_loop.clone();
        spawn(async move {
            handle.spawn_connection(Box::pin(async {
                std::panic::resume_unwind(Box::new("at once"))
            }));
            handle.spawn_connection(Box::pin(async {
                let _bomb = Bomb;
            }));
            handle.spawn_connection(Box::pin(async {
                yield_now().await;
                let (_near, far) = pair();
                let _bomb = Bomb;
                let _ = far.readable(soon()).await;
            }));
            while handle.connections() > 0 {
                yield_now().await;
            }
            stop();
        });
        event_loop.run();
        assert_eq!(event_loop.connections(), 0);
    }
}

#[test]
fn ten_thousand_sleepers_wake_in_their_time() {
    on_each(|| async {
        let left = Rc::new(Cell::new(10_000));
        let all_awake = Rc::new(Notify::new());
        for n in 0..left.get() {
            let (left, all_awake) = (left.clone(), all_awake.clone());
            spawn(async move {
                let deadline = now() + Duration::from_millis(n % 200);
                sleep_until(deadline).await;
                assert!(now() >= deadline);
                left.set(left.get() - 1);
                if left.get() == 0 {
                    all_awake.notify_all();
                }
            });
        }
        all_awake.wait().await;
    });
}

#[test]
fn a_graceful_stop_awaits_the_connections() {
    for method in METHODS {
        let event_loop = new_loop(method);
        let finished = Rc::new(Cell::new(0));
        let (handle, count) = (event_loop.clone(), finished.clone());
        spawn(async move {
            for n in 0..10 {
                let count = count.clone();
                handle.spawn_connection(Box::pin(async move {
                    sleep(Duration::from_millis(n * 3)).await;
                    count.set(count.get() + 1);
                }));
            }
            stop_gracefully();
            std::future::pending().await
        });
        event_loop.run();
        assert_eq!(finished.get(), 10);
    }
}

#[test]
fn the_end_drops_every_task() {
    let event_loop = new_loop(Method::Epoll);
    let (near, far) = socket::pair().unwrap();
    let handle = event_loop.clone();
    spawn(async move {
        let near = Io::new(near);
        let _cycle = handle.clone();
        handle.spawn_connection(Box::pin(async move { near.readable(None).await.unwrap() }));
        stop();
        std::future::pending().await
    });
    event_loop.run();
    let mut buffer = Vec::new();
    assert_eq!(Io::new(far).try_recv(&mut buffer, 1).unwrap(), 0);
}

#[test]
fn an_io_outlives_its_loop() {
    let (near, far) = socket::pair().unwrap();
    let near = Rc::new(Io::new(near));
    for _ in 0..2 {
        let (io, event_loop) = (near.clone(), new_loop(Method::Epoll));
        spawn(async move {
            let _ = io.readable(soon()).await;
            stop();
        });
        event_loop.run();
    }
    drop((near, far));
}

#[test]
fn notifications_reach_who_waits() {
    on_each(|| async {
        let notify = Rc::new(Notify::new());
        let woken = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let (notify, woken) = (notify.clone(), woken.clone());
            spawn(async move {
                notify.wait().await;
                woken.set(woken.get() + 1);
            });
        }
        while notify.waiting() < 3 {
            yield_now().await;
        }
        notify.notify_one();
        sleep(Duration::from_millis(1)).await;
        assert_eq!((woken.get(), notify.waiting()), (1, 2));
        assert_eq!(timeout(now(), notify.wait()).await, Err(Elapsed));
        notify.notify_all();
        sleep(Duration::from_millis(1)).await;
        assert_eq!((woken.get(), notify.waiting()), (3, 0));
    });
}

#[test]
fn accepting_serves_a_fresh_connection_at_once() {
    let event_loop = new_loop(Method::Epoll);
    let handle = event_loop.clone();
    spawn(async move {
        let addr = socket::Addr::Inet(([127, 0, 0, 1], 0).into());
        let listener = socket::socket(&addr, socket::Kind::Stream).unwrap();
        let listener = Io::new_exclusive(listener);
        socket::bind(listener.fd(), &addr).unwrap();
        socket::listen(listener.fd(), 8).unwrap();
        let client = socket::socket(&addr, socket::Kind::Stream).unwrap();
        assert_eq!(
            listener.readable(soon()).await.unwrap_err().kind(),
            TimedOut
        );
        let _ = socket::connect(
            std::os::fd::AsFd::as_fd(&client),
            &socket::local_addr(listener.fd()).unwrap(),
        );
        // Not awaited for a while, then again: the exclusive registration is renewed.
        sleep(Duration::from_millis(10)).await;
        listener.readable(None).await.unwrap();
        let (fd, _) = listener.try_accept().unwrap();
        let ran = Rc::new(Cell::new(false));
        let flag = ran.clone();
        handle.spawn_connection(Box::pin(async move {
            flag.set(true);
            Io::new(fd).readable(None).await.unwrap();
        }));
        assert!(ran.get());
        drop(client);
        while handle.connections() > 0 {
            yield_now().await;
        }
        stop();
    });
    event_loop.run();
}

#[test]
fn a_waker_may_not_leave_its_thread() {
    let refused = block_on(std::future::poll_fn(|context| {
        let waker = context.waker().clone();
        std::task::Poll::Ready(std::thread::spawn(move || waker.wake()).join().is_err())
    }));
    assert!(refused.unwrap());
}

#[test]
fn block_on_returns_the_answer() {
    let answer = block_on(async {
        sleep(Duration::from_millis(1)).await;
        42
    });
    assert_eq!(answer.unwrap(), 42);
    assert!(block_on(async { std::panic::resume_unwind(Box::new(())) }).is_err());
}

#[test]
fn an_idle_connection_takes_less_than_128_bytes() {
    let (near, _far) = pair();
    // An async function would keep its arguments twice.
    let connection = async move {
        let mut rest: Option<Box<u8>> = None;
        while near.readable(Some(now())).await.is_ok() {
            rest = rest.take();
        }
    };
    let inline = size_of_val(&Some(connection));
    assert!(inline + 44 <= 128, "{inline}");
    assert!(size_of::<Io>() <= 16);
    assert!(size_of::<Ready<'_>>() <= 24);
}
