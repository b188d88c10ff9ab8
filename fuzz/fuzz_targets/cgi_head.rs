//! Heads of CGI scripts: however the output is cut, the result is the same, and it lies inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rowhouse::proto::cgi_head::{HeadParser, Parse, Rules};

fuzz_target!(|data: &[u8]| {
    let Some((&first, output)) = data.split_first() else { return };
    let rules = Rules { strict: first & 1 == 0, limit: 512 };
    let step = usize::from(first >> 1) + 1;
    let expected = HeadParser::default().parse(output, rules);
    let mut parser = HeadParser::default();
    let mut got = Ok(Parse::Incomplete);
    for end in (step..output.len()).step_by(step).chain([output.len()]) {
        got = parser.parse(&output[..end], rules);
        if got != Ok(Parse::Incomplete) {
            break;
        }
    }
    assert_eq!(got, expected);
    match expected {
        Ok(Parse::Done(head, used)) => {
            assert!(used <= output.len() && used <= rules.limit);
            head.final_status();
            head.local_redirect();
        }
        Ok(Parse::Incomplete) => {}
        Err(error) => drop(error.to_string()),
    }
});
