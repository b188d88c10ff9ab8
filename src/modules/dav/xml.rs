//! The XML of WebDAV's requests as a small tree, and text for its responses.
//!
//! Document types and entities other than XML's own are refused, so that a short request can't
//! stand for a long one.

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

use crate::exchange::{Body, Response};
use crate::http::escape::escape_html;
use crate::http::{Entity, Status};

/// How every document of ours begins.
pub(super) const HEADER: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// The namespace of WebDAV's own elements.
pub(super) const DAV: &str = "DAV:";

/// The namespace every document knows as `xml`.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// How deep elements may be nested.
const MAX_DEPTH: usize = 64;

/// A name and its namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    /// Empty if it is in none.
    pub namespace: String,
    /// The name without a prefix.
    pub local: String,
}

impl Name {
    /// A name in WebDAV's namespace.
    pub(super) fn dav(local: &str) -> Name {
        Name {
            namespace: DAV.into(),
            local: local.into(),
        }
    }

    /// Whether it is this name of WebDAV's.
    pub(super) fn is_dav(&self, local: &str) -> bool {
        self.namespace == DAV && self.local == local
    }
}

/// An element with all that is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub name: Name,
    attributes: Vec<(Name, String)>,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Element(Element),
    Text(String),
}

/// The text is no XML that is understood here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<quick_xml::Error> for Malformed {
    fn from(_: quick_xml::Error) -> Malformed {
        Malformed
    }
}

/// Reads a document.
///
/// # Errors
/// It is not well-formed, names namespaces wrongly, or is none a client of WebDAV would send.
pub(super) fn parse(text: &[u8]) -> Result<Element, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    if text.contains('\0') {
        return Err(Malformed);
    }
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event()?;
        match event {
            Event::Start(start) => {
                open.push(element(&reader, &start)?);
                if open.len() > MAX_DEPTH {
                    return Err(Malformed);
                }
            }
            Event::Empty(start) => {
                let element = element(&reader, &start)?;
                inside(&mut open)?.nodes.push(Node::Element(element));
            }
            Event::End(_) => {
                let element = open.pop().ok_or(Malformed)?;
                inside(&mut open)?.nodes.push(Node::Element(element));
            }
            Event::Text(text) => inside(&mut open)?.push_text(&text.xml10_content()),
            Event::CData(text) => inside(&mut open)?.push_text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = character(&reference)?;
                inside(&mut open)?.push_text(character.encode_utf8(&mut [0; 4]));
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            Event::DocType(_) => return Err(Malformed),
            Event::Eof => return document(open),
        }
    }
}

/// The innermost element that is open.
fn inside(open: &mut [Element]) -> Result<&mut Element, Malformed> {
    open.last_mut().ok_or(Malformed)
}

/// The one element of a document, whose outside may hold white space only.
fn document(mut open: Vec<Element>) -> Result<Element, Malformed> {
    let Some(outside) = open.pop().filter(|_| open.is_empty()) else {
        return Err(Malformed);
    };
    let mut root = None;
    for node in outside.nodes {
        match node {
            Node::Element(element) if root.is_none() => root = Some(element),
            Node::Text(text) if text.trim().is_empty() => {}
            _ => return Err(Malformed),
        }
    }
    root.ok_or(Malformed)
}

/// The character that `&lt;` or `&#60;` stands for.
fn character(reference: &BytesRef<'_>) -> Result<char, Malformed> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character);
    }
    match &*reference.xml10_content() {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(Malformed),
    }
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Element, Malformed> {
    let resolver = reader.resolver();
    let (namespace, local) = resolver.resolve_element(start.name());
    let mut element = Element {
        name: name(namespace, local.as_ref())?,
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| Malformed)?;
        let value = attribute.normalized_value(XmlVersion::default())?;
        if attribute.key.as_namespace_binding().is_some() {
            // Only the default namespace may be taken back.
            if value.is_empty() && attribute.key.prefix().is_some() {
                return Err(Malformed);
            }
            continue;
        }
        let (namespace, local) = resolver.resolve_attribute(attribute.key);
        let name = name(namespace, local.as_ref())?;
        element.attributes.push((name, value.into_owned()));
    }
    Ok(element)
}

fn name(namespace: ResolveResult<'_>, local: &str) -> Result<Name, Malformed> {
    let namespace = match namespace {
        ResolveResult::Bound(namespace) => namespace.0.to_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(_) => return Err(Malformed),
    };
    Ok(Name {
        namespace,
        local: local.to_owned(),
    })
}

impl Element {
    fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }

    /// The elements in it.
    pub(super) fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first element in it that has this name of WebDAV's.
    pub(super) fn child(&self, local: &str) -> Option<&Element> {
        self.children().find(|child| child.name.is_dav(local))
    }

    /// The element as text that can stand anywhere: it names all its namespaces.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.write_inside(None, out);
    }

    /// The same without its own start and end.
    pub(super) fn write_content(&self, out: &mut Vec<u8>) {
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write_inside(None, out),
                Node::Text(text) => escape_html(text.as_bytes(), out),
            }
        }
    }

    /// Writes it inside an element with the default namespace `outer`.
    fn write_inside(&self, outer: Option<&str>, out: &mut Vec<u8>) {
        let name = &self.name;
        out.push(b'<');
        out.extend_from_slice(name.local.as_bytes());
        if outer != Some(&name.namespace) {
            write_attribute("xmlns", &name.namespace, out);
        }
        for (number, (name, value)) in self.attributes.iter().enumerate() {
            match &*name.namespace {
                "" => write_attribute(&name.local, value, out),
                XML => write_attribute(&format!("xml:{}", name.local), value, out),
                namespace => {
                    write_attribute(&format!("xmlns:n{number}"), namespace, out);
                    write_attribute(&format!("n{number}:{}", name.local), value, out);
                }
            }
        }
        if self.nodes.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        for node in &self.nodes {
            match node {
                Node::Element(element) => element.write_inside(Some(&name.namespace), out),
                Node::Text(text) => escape_html(text.as_bytes(), out),
            }
        }
        out.extend_from_slice(b"</");
        out.extend_from_slice(name.local.as_bytes());
        out.push(b'>');
    }
}

fn write_attribute(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape_html(value.as_bytes(), out);
    out.push(b'"');
}

/// Writes an element without content.
pub(super) fn write_empty(name: &Name, out: &mut Vec<u8>) {
    let element = Element {
        name: name.clone(),
        ..Element::default()
    };
    element.write(out);
}

/// A response with a document as its body.
pub(super) fn response(status: Status, body: impl Into<Body>) -> Response {
    let mut response = Response::new(status);
    response.entity = Entity::typed("application/xml");
    response.entity.charset = Some("utf-8".into());
    response.body = body.into();
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Result<String, Malformed> {
        let mut out = Vec::new();
        parse(text.as_bytes())?.write(&mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn elements_are_written_so_that_they_can_stand_alone() {
        for (text, expected) in [
            ("<a/>", "<a xmlns=\"\"/>"),
            (
                "<?xml version='1.0'?>\n<D:a xmlns:D='DAV:'><D:b/>x</D:a>\n",
                "<a xmlns=\"DAV:\"><b/>x</a>",
            ),
            (
                "<a xmlns='x'><b xmlns=''><c xmlns='x'/></b></a>",
                "<a xmlns=\"x\"><b xmlns=\"\"><c xmlns=\"x\"/></b></a>",
            ),
            (
                "<a b='&quot;1' xml:lang='de' xmlns:y='Y' y:c='2'/>",
                "<a xmlns=\"\" b=\"&quot;1\" xml:lang=\"de\" xmlns:n2=\"Y\" n2:c=\"2\"/>",
            ),
            (
                "<a>&lt;<![CDATA[<&]]>&#65536;&#x41;</a>",
                "<a xmlns=\"\">&lt;&lt;&amp;\u{10000}A</a>",
            ),
        ] {
            assert_eq!(written(text).as_deref(), Ok(expected), "{text}");
            assert_eq!(written(expected).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        let deep = "<a>".repeat(MAX_DEPTH) + &"</a>".repeat(MAX_DEPTH);
        for text in [
            "",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "<p:a/>",
            "<a p:b='1'/>",
            "<a xmlns:p=''/>",
            "<a>&unknown;</a>",
            "<!DOCTYPE a [<!ENTITY e 'x'>]><a/>",
            "<a b='1' b='2'/>",
            &deep,
        ] {
            assert_eq!(written(text), Err(Malformed), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text: Vec<u8>) {
            let _ = parse(&text);
        }
    }
}
