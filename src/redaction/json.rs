//! JSON read so that it comes out as it went in, and written in one canonical form.
//!
//! What is not masked must not change, and what is unsealed must be what was sealed. `serde_json` reads numbers beyond 64
//! bits as the nearest float, and long decimals a little off; here the former are refused and the latter read exactly.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// Digits that a float always keeps.
const DIGITS_SAFE: usize = 15;

/// Why a text cannot be read. Quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not JSON from this line of the text on, counted from 1.
    #[error("not JSON")]
    NotJson { line: usize, is_cut_short: bool },
    #[error("a number has more digits than this program can keep")]
    InexactNumber,
}

/// Reads one JSON text. Of keys that are doubled the last one counts.
///
/// # Errors
/// [`ReadError::InexactNumber`] when writing the value again would change a number.
pub fn read(text: &[u8]) -> Result<Value, ReadError> {
    let value: Value = serde_json::from_slice(text).map_err(|error| not_json(&error))?;
    if has_long_numbers(text) { read_exactly(text) } else { Ok(value) }
}

/// The one text of a value: no spaces, keys in order of their bytes.
pub fn canonical(value: &Value) -> String {
    value.to_string()
}

fn not_json(error: &serde_json::Error) -> ReadError {
    ReadError::NotJson { line: error.line().max(1), is_cut_short: error.is_eof() }
}

/// Whether any number of a valid JSON text is too long to be trusted to the quick way.
fn has_long_numbers(text: &[u8]) -> bool {
    let (mut in_text, mut escaped, mut digits) = (false, false, 0_usize);
    for &byte in text {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'0'..=b'9' => {
                digits += 1;
                if digits > DIGITS_SAFE {
                    return true;
                }
            }
            b'.' => {}
            // An exponent: rare, and not worth a rule of its own. The other `e`s follow no digit.
            b'e' | b'E' if digits > 0 => return true,
            _ => digits = 0,
        }
    }
    false
}

/// Reads a text that is known to be JSON number by number, each from its own digits.
fn read_exactly(text: &[u8]) -> Result<Value, ReadError> {
    exact(serde_json::from_slice(text).map_err(|error| not_json(&error))?)
}

fn exact(raw: &RawValue) -> Result<Value, ReadError> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = parse(text)?;
            fields.into_iter().map(|(key, raw)| Ok((key, exact(raw)?))).collect()
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = parse(text)?;
            elements.into_iter().map(exact).collect()
        }
        Some(b'-' | b'0'..=b'9') => number(text).map(Value::Number).ok_or(ReadError::InexactNumber),
        _ => parse(text),
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

/// The number, if printing it says the same.
fn number(text: &str) -> Option<Number> {
    let number = if let Ok(whole) = text.parse::<u64>() {
        Number::from(whole)
    } else if let Ok(whole) = text.parse::<i64>() {
        Number::from(whole)
    } else {
        Number::from_f64(text.parse().ok()?)?
    };
    (decimal(&number.to_string())? == decimal(text)?).then_some(number)
}

/// Sign, digits without zeros at either end, and the power of ten of the last digit: equal for equal numbers.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let significant = significant.trim_start_matches('0').to_owned();
    let exponent = if significant.is_empty() { 0 } else { exponent.checked_add(dropped)? };
    Some((is_negative, significant, exponent))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn printed(text: &str) -> Result<String, ReadError> {
        read(text.as_bytes()).map(|value| canonical(&value))
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        for (given, kept) in [
            ("[0,-1,18446744073709551615,-9223372036854775808]", "[0,-1,18446744073709551615,-9223372036854775808]"),
            ("1.10", "1.1"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("-0.0", "-0.0"),
            ("-0", "-0.0"),
            ("1e2", "100.0"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(printed(given).unwrap(), kept, "{given}");
        }
    }

    #[test]
    fn a_number_that_would_change_is_refused_wherever_it_stands() {
        for number in [
            "123456789.123456789",
            "18446744073709551616",
            "-9223372036854775809",
            "0.1000000000000000055511151231257827",
            "1e400",
        ] {
            for text in [number.to_owned(), format!("[[{number}]]"), format!(r#"{{"a":{{"b":{number}}}}}"#)] {
                assert!(matches!(printed(&text), Err(ReadError::InexactNumber | ReadError::NotJson { .. })), "{text}");
            }
        }
        let quoted = r#"{"a":"18446744073709551616","b\"18446744073709551616":"\\"}"#;
        assert_eq!(printed(quoted).unwrap(), quoted);
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_line() {
        let at = |text: &str| read(text.as_bytes()).unwrap_err();
        assert_eq!(at("{\"a\":1}\n}"), ReadError::NotJson { line: 2, is_cut_short: false });
        assert_eq!(at("{\n\"a\":"), ReadError::NotJson { line: 2, is_cut_short: true });
        assert_eq!(at("\u{feff}{}"), ReadError::NotJson { line: 1, is_cut_short: false });
        assert!(read(b"\"\xff\"").is_err());
        assert!(read("[".repeat(200).as_bytes()).is_err());
    }

    #[test]
    fn objects_are_written_in_order_of_their_keys() {
        assert_eq!(
            printed(r#"{ "b": 1, "B": 2, "a": [ {"y":1,"x":2} ] }"#).unwrap(),
            r#"{"B":2,"a":[{"x":2,"y":1}],"b":1}"#
        );
    }

    proptest! {
        #[test]
        fn every_float_reads_back_as_it_was_written(bits: u64) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            let value = json!({ "a": [float] });
            prop_assert_eq!(read(canonical(&value).as_bytes()).unwrap(), value);
        }

        #[test]
        fn the_quick_way_reads_what_the_exact_way_reads(whole in 0u64..1_000_000_000, fraction in "[0-9]{1,6}") {
            let text = format!("[{whole}.{fraction}]");
            prop_assert_eq!(read(text.as_bytes()), read_exactly(text.as_bytes()));
        }
    }
}
