//! Finds commands in a page: `<!--#echo var="x" -->`.

use std::ops::Range;

/// What a command begins with.
const OPEN: &[u8; 5] = b"<!--#";

/// How long names of commands and parameters may be.
const MAX_NAME: usize = 32;

/// How many parameters a command may have.
const MAX_PARAMS: usize = 16;

/// A command as it was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Its name.
    pub name: Vec<u8>,
    /// Its parameters and their values, without the quotes.
    pub params: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What comes next in a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Text: this part of the input.
    Text(Range<usize>),
    /// Text that was held back, since it might have begun a command.
    Held(&'static [u8]),
    /// A command.
    Command(Command),
    /// The end of a malformed command; what is wrong with it.
    Malformed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Outside of commands, behind so many bytes of [`OPEN`] that earlier input ended in.
    Text(usize),
    BeforeName,
    Name,
    BeforeParam,
    Param,
    BeforeEqual,
    BeforeValue,
    Value {
        quote: u8,
        escaped: bool,
    },
    AfterValue,
    /// Behind one or two of the hyphens that end a command.
    End(u8),
    /// In a malformed command, behind so many hyphens in a row.
    Wrong(u8),
}

/// Reads one page, however it is cut.
pub(super) struct Parser {
    state: State,
    command: Command,
    complaint: String,
    /// How long values may be.
    max_value: usize,
}

impl Parser {
    pub(super) fn new(max_value: usize) -> Parser {
        Parser {
            state: State::Text(0),
            command: Command::default(),
            complaint: String::new(),
            max_value,
        }
    }

    /// What comes next in `input` from `at` on, which moves behind it; `None` if all is read.
    pub(super) fn next(&mut self, input: &[u8], at: &mut usize) -> Option<Event> {
        while *at < input.len() {
            let event = match self.state {
                State::Text(0) => self.text(input, at),
                State::Text(held) => self.held(held, input, at),
                _ => {
                    *at += 1;
                    self.inside(input[*at - 1])
                }
            };
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// Text that was held back, once the page is over.
    pub(super) fn finish(&mut self) -> &'static [u8] {
        match self.state {
            State::Text(held) => &OPEN[..held],
            _ => b"",
        }
    }

    /// Text up to the next command or the end.
    fn text(&mut self, input: &[u8], at: &mut usize) -> Option<Event> {
        let start = *at;
        let mut end = start;
        while let Some(found) = memchr::memchr(b'<', &input[end..]) {
            end += found;
            let same = common(&input[end..], OPEN);
            if same == OPEN.len() || end + same == input.len() {
                *at = end + same;
                self.state = match same == OPEN.len() {
                    true => State::BeforeName,
                    false => State::Text(same),
                };
                return (start < end).then_some(Event::Text(start..end));
            }
            end += 1;
        }
        *at = input.len();
        Some(Event::Text(start..input.len()))
    }

    /// Goes on behind the beginning of what may be a command.
    fn held(&mut self, held: usize, input: &[u8], at: &mut usize) -> Option<Event> {
        let same = common(&input[*at..], &OPEN[held..]);
        *at += same;
        let held = held + same;
        self.state = match held == OPEN.len() {
            true => State::BeforeName,
            false => State::Text(held),
        };
        if held == OPEN.len() || *at == input.len() {
            return None;
        }
        self.state = State::Text(0);
        Some(Event::Held(&OPEN[..held]))
    }

    /// Takes a byte of a command.
    fn inside(&mut self, byte: u8) -> Option<Event> {
        let space = matches!(byte, b' ' | b'\r' | b'\n' | b'\t');
        self.state = match (self.state, byte) {
            (
                State::BeforeName | State::BeforeParam | State::BeforeEqual | State::BeforeValue,
                _,
            ) if space => self.state,
            (State::BeforeName, _) => {
                self.command = Command::default();
                self.command.name.push(byte);
                State::Name
            }
            (State::Name | State::AfterValue, _) if space => State::BeforeParam,
            (State::Name | State::AfterValue | State::BeforeParam, b'-') => State::End(1),
            (State::Name, _) => self.name(byte),
            (State::BeforeParam, _) => self.new_param(byte),
            (State::Param, _) if space => State::BeforeEqual,
            (State::Param | State::BeforeEqual, b'=') => State::BeforeValue,
            (State::Param, b'-') => self.unexpected(byte, "after a parameter's name"),
            (State::Param, _) => self.param(byte),
            (State::BeforeEqual, _) => self.unexpected(byte, "after a parameter's name"),
            (State::BeforeValue, b'"' | b'\'') => State::Value {
                quote: byte,
                escaped: false,
            },
            (State::BeforeValue, _) => self.unexpected(byte, "before a parameter's value"),
            (State::Value { quote, escaped }, _) => self.value(byte, quote, escaped),
            (State::AfterValue, _) => self.unexpected(byte, "after a parameter's value"),
            (State::End(1), b'-') => State::End(2),
            (State::End(2), b'>') => {
                self.state = State::Text(0);
                return Some(Event::Command(std::mem::take(&mut self.command)));
            }
            (State::End(_), _) => self.unexpected(byte, "after a hyphen"),
            (State::Wrong(2), b'>') => {
                self.state = State::Text(0);
                return Some(Event::Malformed(std::mem::take(&mut self.complaint)));
            }
            (State::Wrong(hyphens @ 0..=1), b'-') => State::Wrong(hyphens + 1),
            (State::Wrong(_), _) => State::Wrong(0),
            (State::Text(_), _) => self.state,
        };
        None
    }

    fn name(&mut self, byte: u8) -> State {
        if self.command.name.len() == MAX_NAME {
            return self.wrong(format!("the {} is too long", self.shown()));
        }
        self.command.name.push(byte);
        State::Name
    }

    fn new_param(&mut self, byte: u8) -> State {
        if self.command.params.len() == MAX_PARAMS {
            return self.wrong(format!("too many parameters in the {}", self.shown()));
        }
        self.command.params.push((vec![byte], Vec::new()));
        State::Param
    }

    fn param(&mut self, byte: u8) -> State {
        match self.command.params.last_mut() {
            Some((name, _)) if name.len() < MAX_NAME => {
                name.push(byte);
                State::Param
            }
            _ => self.wrong(format!("too long parameter name in the {}", self.shown())),
        }
    }

    fn value(&mut self, byte: u8, quote: u8, escaped: bool) -> State {
        if byte == quote && !escaped {
            return State::AfterValue;
        }
        match self.command.params.last_mut() {
            Some((_, value)) if value.len() < self.max_value => {
                value.push(byte);
                let escaped = byte == b'\\' && !escaped;
                State::Value { quote, escaped }
            }
            _ => self.wrong(format!("too long parameter value in the {}", self.shown())),
        }
    }

    fn unexpected(&mut self, byte: u8, place: &str) -> State {
        let shown = self.shown();
        let byte_shown = char::from(byte).escape_default();
        let state = self.wrong(format!(
            "unexpected \"{byte_shown}\" {place} in the {shown}"
        ));
        // Behind a name or an equals sign a hyphen may already end the command.
        match byte == b'-' && place.ends_with("name") {
            true => State::Wrong(1),
            false => state,
        }
    }

    fn wrong(&mut self, complaint: String) -> State {
        self.complaint = complaint;
        State::Wrong(0)
    }

    /// The command, for a complaint.
    fn shown(&self) -> String {
        format!(
            "\"{}\" SSI command",
            String::from_utf8_lossy(&self.command.name)
        )
    }
}

/// How many bytes both begin with.
fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The page in short: text as it is, commands in brackets.
    fn read(parts: &[&[u8]]) -> String {
        let mut parser = Parser::new(20);
        let mut out = String::new();
        for part in parts {
            let mut at = 0;
            while let Some(event) = parser.next(part, &mut at) {
                match event {
                    Event::Text(range) => out += std::str::from_utf8(&part[range]).unwrap(),
                    Event::Held(text) => out += std::str::from_utf8(text).unwrap(),
                    Event::Command(command) => out += &shown(&command),
                    Event::Malformed(_) => out += "[!]",
                }
            }
        }
        out + std::str::from_utf8(parser.finish()).unwrap()
    }

    fn shown(command: &Command) -> String {
        let mut out = format!("[{}", String::from_utf8_lossy(&command.name));
        for (name, value) in &command.params {
            let [name, value] = [name, value].map(|text| String::from_utf8_lossy(text));
            out += &format!(" {name}={value}");
        }
        out + "]"
    }

    const CASES: [(&str, &str); 16] = [
        ("plain", "plain"),
        ("<!-- a comment -->", "<!-- a comment -->"),
        ("<<!--<!-<!--#else-->x<", "<<!--<!-[else]x<"),
        ("a<!--#echo var=\"x\" -->b", "a[echo var=x]b"),
        (
            "<!--# echo  var = 'a\"b' default=\"\" -->",
            "[echo var=a\"b default=]",
        ),
        (r#"<!--#set value="a\"b\\" -->"#, r#"[set value=a\"b\\]"#),
        ("<!--#endif--><!--#endif -->", "[endif][endif]"),
        ("<!--#if expr='-->' -->", "[if expr=-->]"),
        ("<!--#echo var x -->b", "[!]b"),
        ("<!--#echo var=x -->b", "[!]b"),
        ("<!--#echo var-->b", "[!]b"),
        ("<!--#echo var='x'y -->b", "[!]b"),
        ("<!--#echo - -->b", "[!]b"),
        ("<!--#set value='123456789012345678901' -->b", "[!]b"),
        ("<!--#123456789012345678901234567890123 -->b", "[!]b"),
        ("<!--#open", ""),
    ];

    #[test]
    fn commands_in_pages() {
        for (page, expected) in CASES {
            assert_eq!(read(&[page.as_bytes()]), expected, "{page}");
        }
        let many = format!("<!--#x {}-->", "a='' ".repeat(17));
        assert_eq!(read(&[many.as_bytes()]), "[!]");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_page_is_cut(case in 0..CASES.len(), cuts in prop::collection::vec(0usize..50, 0..9)) {
            let (page, expected) = CASES[case];
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(page.len())).collect();
            cuts.extend([0, page.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|two| &page.as_bytes()[two[0]..two[1]]).collect();
            prop_assert_eq!(read(&parts), expected);
        }
    }
}
