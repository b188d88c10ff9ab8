//! Where redirects lead, as clients are told (`absolute_redirect` and its kin).

use super::Exchange;
use crate::http::decimal::append_number;

impl Exchange {
    /// Appends the value of `Location`: a path gets scheme, host and port in front.
    pub fn append_location(&self, location: &[u8], out: &mut Vec<u8>) {
        if location.first() == Some(&b'/') && self.location.core.absolute_redirect {
            self.append_origin(out);
        }
        out.extend_from_slice(location);
    }

    fn append_origin(&self, out: &mut Vec<u8>) {
        let core = &self.location.core;
        out.extend_from_slice(b"http://");
        if core.server_name_in_redirect {
            out.extend_from_slice(&self.server.name);
        } else if !self.request.host.is_empty() {
            out.extend_from_slice(&self.request.host);
        } else {
            out.extend_from_slice(self.connection.local().host_text().as_bytes());
        }
        let port = self.connection.local_port();
        if core.port_in_redirect && port != 80 && port != 0 {
            out.push(b':');
            append_number(u64::from(port), out);
        }
    }
}
