//! Decimal digits.

/// Appends a number in decimal digits.
pub fn append_number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_decimal(value: u64) {
            let mut out = Vec::new();
            append_number(value, &mut out);
            prop_assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
