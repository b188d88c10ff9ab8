//! The CGI program of the bench: as small as a script can be, so that what is measured is the server.

fn main() {
    print!("Content-Type: text/plain\r\n\r\nhello, world\n");
}
