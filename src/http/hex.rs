//! Hexadecimal digits, lower case.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The digits of bytes, two for each.
pub fn digits(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    bytes.iter().flat_map(digits)
}

/// Appends the digits of a number, without leading zeros.
pub fn append_number(number: u64, out: &mut Vec<u8>) {
    let bits = (u64::BITS - number.leading_zeros()).max(1);
    for digit in (0..bits.div_ceil(4)).rev() {
        out.push(DIGITS[(number >> (4 * digit) & 15) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_numbers() {
        assert!(digits(b"\x00\x9f\xff").eq(*b"009fff"));
        for number in [0, 1, 15, 16, 255, 256, 0x1234_5678_9abc_def0, u64::MAX] {
            let mut out = Vec::new();
            append_number(number, &mut out);
            assert_eq!(out, format!("{number:x}").into_bytes());
        }
    }
}
