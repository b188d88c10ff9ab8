//! What was read whole, lent or shared.

use super::*;
use crate::event;

/// The body at its end, and what it was.
fn read_all(mut body: RequestBody) -> (RequestBody, Vec<u8>) {
    let reading = async move {
        let mut all = Vec::new();
        while body.read(&mut all).await.unwrap() > 0 {}
        (body, all)
    };
    event::block_on(reading).unwrap()
}

#[test]
fn what_was_read_whole_can_be_read_again_by_everyone_who_shares_it() {
    let folder = tempfile::tempdir().unwrap();
    let core = Core {
        client_body_temp_path: crate::exchange::TempPath {
            path: folder.path().as_os_str().as_bytes().into(),
            levels: [0; 3],
        }
        .into(),
        ..Core::default()
    };
    let text: Vec<u8> = (0..200_000_u32).map(|i| i as u8).collect();
    let file = TempFile::with(&core, &mut &*text).unwrap();
    for whole in [
        BufferedBody::File(file),
        BufferedBody::Memory(text.clone()),
        BufferedBody::Memory(Vec::new()),
    ] {
        let expected = if whole.is_empty() { &[][..] } else { &text };
        let body = RequestBody {
            stage: Stage::Whole(Rc::new(whole), 0),
            taken: 0,
        };
        let shared = body.shared();
        assert_eq!(body.is_over(), expected.is_empty());
        let (body, all) = read_all(body);
        assert_eq!(all, expected);
        assert!(body.is_over() && !body.is_pending());
        assert_eq!(read_all(shared).1, expected);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_body_that_was_lent_is_not_an_empty_one() {
    struct Silent;
    impl BodySource for Silent {
        fn read<'a>(
            &'a mut self,
            _: &'a mut Vec<u8>,
        ) -> LocalBoxFuture<'a, Result<usize, BodyError>> {
            Box::pin(async { Ok(0) })
        }
        fn set_limits(&mut self, _: u64, _: Duration) {}
        fn inform(&mut self, _: Status, _: &Headers) {}
        fn withhold_continue(&mut self) {}
        fn taken(&self) -> u64 {
            0
        }
    }
    let mut body = RequestBody::new(Box::new(Silent));
    let lent = body.lend();
    assert!(body.is_pending() && !body.is_over());
    let reading = async move { body.read(&mut Vec::new()).await };
    let refused = event::block_on(reading).unwrap();
    assert!(matches!(refused, Err(BodyError::Closed)));
    let (lent, all) = read_all(lent);
    assert!(all.is_empty() && lent.is_over());
}
