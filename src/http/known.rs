//! The request headers the server itself looks at, recognised once while the head is parsed.

macro_rules! known_headers {
    ($($variant:ident $name:literal)*) => {
        /// A request header some part of the server asks for; `Other` is any other.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // A variant is the header of the same name.
        #[repr(u8)]
        pub enum KnownHeader { $($variant,)* Other }

        impl KnownHeader {
            /// How many are known, `Other` not counted.
            pub const COUNT: usize = KnownHeader::Other as usize;

            /// All of them, in the order of their numbers.
            pub const ALL: [KnownHeader; KnownHeader::COUNT] = [$(KnownHeader::$variant),*];

            /// The name as it is usually written; empty for `Other`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(KnownHeader::$variant => $name,)*
                    KnownHeader::Other => "",
                }
            }
        }
    };
}

known_headers! {
    Host "Host"
    Connection "Connection"
    ProxyConnection "Proxy-Connection"
    IfModifiedSince "If-Modified-Since"
    IfUnmodifiedSince "If-Unmodified-Since"
    IfMatch "If-Match"
    IfNoneMatch "If-None-Match"
    IfRange "If-Range"
    UserAgent "User-Agent"
    Referer "Referer"
    ContentLength "Content-Length"
    ContentRange "Content-Range"
    ContentType "Content-Type"
    Range "Range"
    TransferEncoding "Transfer-Encoding"
    Te "TE"
    Expect "Expect"
    Upgrade "Upgrade"
    AcceptEncoding "Accept-Encoding"
    Accept "Accept"
    AcceptLanguage "Accept-Language"
    Via "Via"
    Authorization "Authorization"
    ProxyAuthorization "Proxy-Authorization"
    KeepAlive "Keep-Alive"
    XForwardedFor "X-Forwarded-For"
    XRealIp "X-Real-IP"
    Depth "Depth"
    Destination "Destination"
    Overwrite "Overwrite"
    Date "Date"
    Cookie "Cookie"
    Origin "Origin"
}

impl KnownHeader {
    /// The header with this name, in any letter case.
    pub fn from_name(name: &[u8]) -> KnownHeader {
        let first = name.first().copied().unwrap_or(0);
        for &candidate in candidates(name.len(), first) {
            if is_same(name, candidate.as_str().as_bytes()) {
                return candidate;
            }
        }
        KnownHeader::Other
    }

    /// Whether a request may carry it only once (nginx answers a repetition with 400).
    pub const fn is_unique(self) -> bool {
        use KnownHeader::*;
        matches!(
            self,
            Host | IfModifiedSince
                | IfUnmodifiedSince
                | IfMatch
                | IfNoneMatch
                | IfRange
                | ContentLength
                | ContentRange
                | TransferEncoding
                | Expect
                | Authorization
                | ProxyAuthorization
        )
    }
}

/// Whether two names of the same length differ in letter case at most, several bytes at a time. The
/// bit that tells letters apart also tells some control bytes from dashes, but no name has those.
fn is_same(name: &[u8], known: &[u8]) -> bool {
    const CASE: u8 = 0x20;
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes) | u64::from_ne_bytes([CASE; 8]);
    let half = |bytes: &[u8; 4]| u32::from_ne_bytes(*bytes) | u32::from_ne_bytes([CASE; 4]);
    if let (Some(last), Some(known_last)) = (name.last_chunk(), known.last_chunk()) {
        let words = name.as_chunks().0.iter().map(word);
        word(last) == word(known_last) && words.eq(known.as_chunks().0.iter().map(word))
    } else if let (Some(last), Some(known_last)) = (name.last_chunk(), known.last_chunk()) {
        half(last) == half(known_last)
            && name.first_chunk().map(half) == known.first_chunk().map(half)
    } else {
        name.eq_ignore_ascii_case(known)
    }
}

/// The few headers of this length; where there are several, the first letter narrows them down.
fn candidates(length: usize, first: u8) -> &'static [KnownHeader] {
    use KnownHeader::*;
    match (length, first | 0x20) {
        (2, _) => &[Te],
        (3, _) => &[Via],
        (4, b'h') => &[Host],
        (4, _) => &[Date],
        (5, b'r') => &[Range],
        (5, _) => &[Depth],
        (6, b'c') => &[Cookie],
        (6, b'a') => &[Accept],
        (6, b'o') => &[Origin],
        (6, _) => &[Expect],
        (7, b'r') => &[Referer],
        (7, _) => &[Upgrade],
        (8, _) => &[IfMatch, IfRange],
        (9, b'o') => &[Overwrite],
        (9, _) => &[XRealIp],
        (10, b'c') => &[Connection],
        (10, b'u') => &[UserAgent],
        (10, _) => &[KeepAlive],
        (11, _) => &[Destination],
        (12, _) => &[ContentType],
        (13, b'i') => &[IfNoneMatch],
        (13, b'a') => &[Authorization],
        (13, _) => &[ContentRange],
        (14, _) => &[ContentLength],
        (15, b'a') => &[AcceptEncoding, AcceptLanguage],
        (15, _) => &[XForwardedFor],
        (16, _) => &[ProxyConnection],
        (17, b'i') => &[IfModifiedSince],
        (17, _) => &[TransferEncoding],
        (19, b'i') => &[IfUnmodifiedSince],
        (19, _) => &[ProxyAuthorization],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for known in KnownHeader::ALL {
            let name = known.as_str();
            for spelling in [name.to_owned(), name.to_uppercase(), name.to_lowercase()] {
                assert_eq!(
                    KnownHeader::from_name(spelling.as_bytes()),
                    known,
                    "{spelling}"
                );
            }
        }
        for other in ["", "X", "Hosts", "Content-Lengt", "Set-Cookie"] {
            assert_eq!(KnownHeader::from_name(other.as_bytes()), KnownHeader::Other);
        }
    }
}
