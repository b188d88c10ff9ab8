//! Waiting for descriptors.

use super::*;

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
