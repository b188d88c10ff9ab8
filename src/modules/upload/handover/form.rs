//! The form that is handed over (RFC 7578).

use super::super::failure::Failure;
use crate::http::Status;

/// A form being written.
pub struct Form {
    /// Two dashes and the boundary.
    delimiter: Vec<u8>,
    /// How long it may become; 0 is no limit.
    limit: u64,
    out: Vec<u8>,
}

impl Form {
    /// An empty one.
    pub fn new(boundary: &[u8], limit: u64) -> Form {
        Form {
            delimiter: [b"--", boundary].concat(),
            limit,
            out: Vec::new(),
        }
    }

    /// Adds a field.
    ///
    /// # Errors
    /// 413 if the form becomes too long.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let out = &mut self.out;
        out.extend_from_slice(&self.delimiter);
        out.extend_from_slice(b"\r\nContent-Disposition: form-data; name=\"");
        for byte in name {
            match byte {
                b'"' => out.extend_from_slice(b"%22"),
                b'\r' => out.extend_from_slice(b"%0D"),
                b'\n' => out.extend_from_slice(b"%0A"),
                _ => out.push(*byte),
            }
        }
        out.extend_from_slice(b"\"\r\n\r\n");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
        if self.limit > 0 && self.out.len() as u64 > self.limit {
            let message = format!(
                "a form to hand over is longer than {} bytes, the limit of \
                 \"upload_max_output_body_len\"",
                self.limit
            );
            return Err(Failure::of_client(
                Status::REQUEST_ENTITY_TOO_LARGE,
                message,
            ));
        }
        Ok(())
    }

    /// The whole form.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(&self.delimiter);
        self.out.extend_from_slice(b"--\r\n");
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut form = Form::new(b"b", 150);
        form.add(b"a\"\r\n", b"1\r\n2").unwrap();
        let too_long = form.add(b"x", &[b'x'; 100]).unwrap_err();
        assert_eq!(too_long.status, Status::REQUEST_ENTITY_TOO_LARGE);
        let mut form = Form::new(b"b", 0);
        form.add(b"a\"\r\n", b"1\r\n2").unwrap();
        let expected = "--b\r\nContent-Disposition: form-data; name=\"a%22%0D%0A\"\r\n\r\n\
                        1\r\n2\r\n--b--\r\n";
        assert_eq!(form.finish(), expected.as_bytes());
    }
}
