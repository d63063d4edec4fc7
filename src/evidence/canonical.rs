//! Writes JSON in the one form that digests are taken over: RFC 8785, with whole numbers of 64 bits written exactly.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// How deep a value may be nested.
pub const DEPTH_MAX: usize = 32;

/// The canonical text: no spaces, the names of an object in the order of their UTF-16 units, numbers as ECMAScript
/// prints them. Whole numbers of up to 64 bits are written with all their digits, also beyond 2^53.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// Reads a text that is in canonical form, and no other.
///
/// # Errors
/// When it is not JSON, nested too deeply, or not the canonical text of its value. Quotes nothing of it.
pub fn read(text: &str) -> Result<Value, &'static str> {
    let value: Value = serde_json::from_str(text).map_err(|_| "it is not JSON")?;
    if depth(&value) > DEPTH_MAX {
        return Err("it is nested too deeply");
    }
    if canonical(&value) == text { Ok(value) } else { Err("it is not in canonical form") }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Appends the canonical text of a value.
pub(super) fn write(value: &Value, text: &mut String) {
    match value {
        Value::Number(number) => self::number(number, text),
        Value::Array(elements) => {
            text.push('[');
            for (at, element) in elements.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(element, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            if !names.iter().all(|name| name.is_ascii()) {
                names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            }
            text.push('{');
            for (at, name) in names.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                string(name, text);
                text.push(':');
                write(&fields[name], text);
            }
            text.push('}');
        }
        Value::String(words) => string(words, text),
        Value::Bool(_) | Value::Null => {
            let _ = write!(text, "{value}");
        }
    }
}

/// Appends a string. `serde_json` escapes as RFC 8785 says: the short escapes, `\u00xx` in lower case for other control
/// characters. Most strings have nothing to escape.
pub(super) fn string(words: &str, text: &mut String) {
    if words.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let _ = write!(text, "{}", Value::from(words));
    } else {
        text.push('"');
        text.push_str(words);
        text.push('"');
    }
}

fn number(number: &Number, text: &mut String) {
    if number.is_f64() {
        ecmascript(number.as_f64().unwrap_or_default(), text);
    } else {
        let _ = write!(text, "{number}");
    }
}

/// `Number::toString` of ECMAScript, for finite numbers.
fn ecmascript(float: f64, text: &mut String) {
    if float == 0.0 {
        text.push('0');
        return;
    }
    if float < 0.0 {
        text.push('-');
    }
    // The shortest digits that read back as this number, as they are, and where the point stands among them.
    let printed = Value::from(float.abs()).to_string();
    let (mantissa, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let significant = all.trim_start_matches('0');
    let zeros_before = all.len() - significant.len();
    let digits = significant.trim_end_matches('0');
    let places = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let point = exponent.parse::<i32>().unwrap_or_default() + places(whole.len()) - places(zeros_before);
    let len = places(digits.len());
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    if len <= point && point <= 21 {
        let _ = write!(text, "{digits}{}", zeros(point - len));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or_default());
        let _ = write!(text, "{whole}.{fraction}");
    } else if -6 < point && point <= 0 {
        let _ = write!(text, "0.{}{digits}", zeros(-point));
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if point < 1 { '-' } else { '+' };
        let _ = write!(text, "{first}{dot}{rest}e{sign}{}", (point - 1).abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        canonical(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn numbers_are_written_as_rfc_8785_samples_them() {
        // RFC 8785, appendix B.
        for (bits, expected) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let value = Value::from(f64::from_bits(bits));
            assert_eq!(canonical(&value), expected);
        }
    }

    #[test]
    fn objects_texts_and_whole_numbers_have_one_form() {
        // RFC 8785, section 3.2.3: the order of UTF-16 units, in which U+1F600 stands before U+FB33.
        let sorted = of("{\"\u{20ac}\":1,\"\\r\":2,\"\u{fb33}\":3,\"1\":4,\"\u{1f600}\":5,\"\u{80}\":6,\"\u{f6}\":7}");
        assert_eq!(
            sorted,
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
        assert_eq!(of(r#" [ "\u001F\/\u00e9\n\"\\" , true, null ] "#), "[\"\\u001f/\u{e9}\\n\\\"\\\\\",true,null]");
        assert_eq!(of("[18446744073709551615,-9223372036854775808]"), "[18446744073709551615,-9223372036854775808]");
        assert_eq!(of("[100.0,1E2,-0.0,-0]"), "[100,100,0,0]");
    }

    #[test]
    fn only_the_canonical_text_is_read() {
        assert!(read(r#"{"a":[1,"b"],"c":1.5}"#).is_ok());
        for text in
            [r#"{"a":1 }"#, r#"{"b":1,"a":2}"#, r#"{"a":1,"a":1}"#, "1.0", "1e2", "-0", r#""\u0041""#, r#""\/""#, "1\n"]
        {
            assert_eq!(read(text).unwrap_err(), "it is not in canonical form", "{text}");
        }
        assert_eq!(read("[").unwrap_err(), "it is not JSON");
        assert_eq!(read(&format!("{}{}", "[".repeat(33), "]".repeat(33))).unwrap_err(), "it is nested too deeply");
    }
}
