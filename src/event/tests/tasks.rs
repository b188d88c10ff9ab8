//! Tasks, their ends and the loop's end.

use super::*;

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
fn who_gives_way_goes_on_last_and_few_at_a_time() {
    on_each(|| async {
        let gone_on = Rc::new(std::cell::RefCell::new(Vec::new()));
        for n in 0..10 {
            let gone_on = gone_on.clone();
            spawn(async move {
                give_way().await;
                gone_on.borrow_mut().push(n);
            });
        }
        for count in [0, 4, 8, 10] {
            yield_now().await;
            assert_eq!(*gone_on.borrow(), Vec::from_iter(0..count));
        }
    });
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
