//! What numbers are by their digits alone: check digits, prefixes, dates.

/// A mainland mobile number: 11 digits that begin with 13 to 19.
pub(super) fn is_mobile(digits: &[u8]) -> bool {
    digits.len() == 11 && digits[0] == 1 && digits[1] >= 3
}

/// A mobile number with 86 or 0086 before it, or alone.
pub(super) fn is_mobile_abroad(digits: &[u8]) -> bool {
    let own = digits.strip_prefix(&[0, 0, 8, 6]).or(digits.strip_prefix(&[8, 6]));
    own.is_some_and(is_mobile)
}

/// A number in its national form with the trunk prefix 0, 10-12 digits: 010 8888 6666, 0571 8765 4321, 020 7946 0958.
pub(super) fn is_landline(digits: &[u8]) -> bool {
    (10..=12).contains(&digits.len()) && digits[0] == 0 && digits[1] != 0
}

/// A number of another country with 00 before it, as the international plan has it: 00 852 9123 4567 (ITU-T E.164).
pub(super) fn is_abroad(digits: &[u8]) -> bool {
    (11..=17).contains(&digits.len()) && matches!(digits, [0, 0, 1..=9, ..])
}

/// A service number that belongs to nobody: 400 and 800 with ten digits, 1-800 and the like.
pub(super) fn is_service_line(digits: &[u8]) -> bool {
    let is_free = |area: &[u8]| matches!(area, [8, tens, ones] if tens == ones && *tens != 1 && *tens != 9);
    match digits {
        [4 | 8, 0, 0, rest @ ..] => rest.len() == 7,
        [1, area @ .., _, _, _, _, _, _, _] => is_free(area),
        _ => false,
    }
}

/// A number of the North American plan, 10 digits, or 11 with 1 before them.
pub(super) fn is_north_american(digits: &[u8]) -> bool {
    let own = if digits.len() == 11 { digits.strip_prefix(&[1]).unwrap_or(&[]) } else { digits };
    own.len() == 10 && own[0] >= 2 && own[3] >= 2 && !is_service_line(own)
}

/// The number of an identity card by region and date of birth, with 18 digits (the last one may be X, told apart) or 15
/// (GB 11643-1999). The check digit is not asked for: one digit misheard must not let the others through.
pub(super) fn is_identity(digits: &[u8], ends_in_x: bool) -> bool {
    let [a, b, ..] = *digits else { return false };
    let region = a * 10 + b;
    let is_region = matches!(region, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83);
    let date = match digits.len() + usize::from(ends_in_x) {
        18 if matches!((digits[6], digits[7]), (1, 8 | 9) | (2, 0)) => &digits[10..14],
        15 if !ends_in_x => &digits[8..12],
        _ => return false,
    };
    is_region && is_day(date)
}

/// Four digits that are a month and a day.
pub(super) fn is_day(digits: &[u8]) -> bool {
    let [a, b, c, d] = *digits else { return false };
    (1..=12).contains(&(a * 10 + b)) && (1..=31).contains(&(c * 10 + d))
}

/// Whether the last digit of a card number is right (ISO/IEC 7812-1, Luhn).
pub(super) fn has_luhn_digit(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match digit * (1 + (place % 2) as u8) {
            two @ 10.. => u32::from(two - 9),
            one => u32::from(one),
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A number of a payment card: 13-19 digits, an issuer's prefix and the check digit; UnionPay numbers without it too.
pub(super) fn is_card(digits: &[u8]) -> bool {
    if !(13..=19).contains(&digits.len()) {
        return false;
    }
    let is_union_pay = digits[..2] == [6, 2] && matches!(digits.len(), 16..=19);
    let is_issued = matches!(digits[..2], [4, _] | [5, 0..=9] | [2, 2..=7] | [3, 4..=7] | [6, _] | [9, 5]);
    is_union_pay || (is_issued && has_luhn_digit(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart() {
        for (check, digits, expected) in [
            (is_mobile as fn(&[u8]) -> bool, "13800138000", true),
            (is_mobile, "12800138000", false),
            (is_mobile_abroad, "8613800138000", true),
            (is_mobile_abroad, "008613800138000", true),
            (is_abroad, "0085291234567", true),
            (is_abroad, "0000291234567", false),
            (is_abroad, "0085291234", false),
            (is_landline, "01088886666", true),
            (is_landline, "057187654321", true),
            (is_landline, "00123456789", false),
            (is_service_line, "4008123123", true),
            (is_north_american, "2125550123", true),
            (is_north_american, "12125550123", true),
            (is_north_american, "1125550123", false),
            (has_luhn_digit, "4111111111111111", true),
            (has_luhn_digit, "4111111111111112", false),
            (is_card, "4111111111111111", true),
            (is_card, "6222021234567890123", true),
            (is_card, "1234567890123", false),
        ] {
            assert_eq!(check(&values(digits)), expected, "{digits}");
        }
        for (digits, x, expected) in [
            ("11010119900307451", true, true),
            ("110101199003074519", false, true),
            ("110101199013074519", false, false),
            ("110101900307451", false, true),
            ("990101900307451", false, false),
        ] {
            assert_eq!(is_identity(&values(digits), x), expected, "{digits}");
        }
    }

    fn values(digits: &str) -> Vec<u8> {
        digits.bytes().map(|digit| digit - b'0').collect()
    }
}
