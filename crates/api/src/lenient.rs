//! Readers for what real clients send in place of what the schema says: `"2"` for 2, `0` for false, `+1` for one more.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// How many processes of a type are wanted: a number, or a step from the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Exactly(u32),
    More(u32),
    Fewer(u32),
}

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not a quantity: expected a number such as 2, or a step such as +1 or -1")]
pub struct InvalidQuantity {
    given: String,
}

impl Quantity {
    /// The number that results from the present one. Never below zero.
    pub const fn applied_to(self, present: u32) -> u32 {
        match self {
            Self::Exactly(number) => number,
            Self::More(step) => present.saturating_add(step),
            Self::Fewer(step) => present.saturating_sub(step),
        }
    }
}

impl FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (make, digits): (fn(u32) -> Self, &str) = match text.split_at_checked(1) {
            Some(("+", rest)) => (Self::More, rest),
            Some(("-", rest)) => (Self::Fewer, rest),
            _ => (Self::Exactly, text),
        };
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse() {
            Ok(number) if plain => Ok(make(number)),
            _ => Err(InvalidQuantity { given: text.chars().take(32).collect() }),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(number) => write!(f, "{number}"),
            Self::More(step) => write!(f, "+{step}"),
            Self::Fewer(step) => write!(f, "-{step}"),
        }
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exactly(number) => serializer.serialize_u32(*number),
            Self::More(_) | Self::Fewer(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => text.trim().parse().map_err(de::Error::custom),
            Value::Number(number) => {
                number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Self::Exactly).ok_or_else(
                    || de::Error::custom(format!("{number} is not a quantity: expected 0 or more")),
                )
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(de::Error::custom("expected a quantity such as 2, \"2\" or \"+1\""))
            }
        }
    }
}

/// For `#[serde(deserialize_with)]`: a number or its text, absent or null.
pub fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => number
            .as_u64()
            .map(Some)
            .ok_or_else(|| de::Error::custom(format!("{number} is not a whole number"))),
        Some(Value::String(text)) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(de::Error::custom(format!("\"{text}\" is not a whole number"))),
        },
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
            Err(de::Error::custom("expected a whole number"))
        }
    }
}

/// For `#[serde(deserialize_with)]`: `true`, `1`, `"true"`, `"1"` and their opposites, absent or null.
pub fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or(Value::Null);
    match &value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(*flag)),
        Value::Number(number) => flag_of(&number.to_string()),
        Value::String(text) => flag_of(text),
        Value::Array(_) | Value::Object(_) => Err("expected true or false".to_owned()),
    }
    .map_err(de::Error::custom)
}

fn flag_of(text: &str) -> Result<Option<bool>, String> {
    match text {
        "1" | "true" => Ok(Some(true)),
        "0" | "false" => Ok(Some(false)),
        _ => Err(format!("{text} is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Both {
        #[serde(default, deserialize_with = "optional_number")]
        number: Option<u64>,
        #[serde(default, deserialize_with = "optional_flag")]
        flag: Option<bool>,
    }

    #[test]
    fn quantities_in_all_forms() {
        for (json, expected) in [
            ("2", Quantity::Exactly(2)),
            ("\"2\"", Quantity::Exactly(2)),
            ("\"+1\"", Quantity::More(1)),
            ("\"-1\"", Quantity::Fewer(1)),
            ("\" 0 \"", Quantity::Exactly(0)),
        ] {
            assert_eq!(serde_json::from_str::<Quantity>(json).expect(json), expected);
        }
        for json in ["-1", "1.5", "\"\"", "\"+\"", "\"++1\"", "\"é\"", "\"+-1\"", "null", "4294967296", "{}"]
        {
            assert!(serde_json::from_str::<Quantity>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn quantities_stay_within_bounds() {
        assert_eq!(Quantity::Fewer(3).applied_to(2), 0);
        assert_eq!(Quantity::More(u32::MAX).applied_to(2), u32::MAX);
        assert_eq!(Quantity::Exactly(5).applied_to(2), 5);
    }

    #[test]
    fn numbers_and_flags() {
        for (json, number, flag) in [
            ("{}", None, None),
            (r#"{"number":null,"flag":null}"#, None, None),
            (r#"{"number":7,"flag":true}"#, Some(7), Some(true)),
            (r#"{"number":"7","flag":0}"#, Some(7), Some(false)),
            (r#"{"flag":"1"}"#, None, Some(true)),
        ] {
            let both: Both = serde_json::from_str(json).expect(json);
            assert_eq!((both.number, both.flag), (number, flag), "{json}");
        }
        for json in [r#"{"number":-1}"#, r#"{"number":"x"}"#, r#"{"flag":2}"#, r#"{"flag":[]}"#] {
            assert!(serde_json::from_str::<Both>(json).is_err(), "{json}");
        }
    }

    proptest::proptest! {
        #[test]
        fn quantity_text_round_trips(step: u32, kind in 0..3_u8) {
            let quantity = match kind {
                0 => Quantity::Exactly(step),
                1 => Quantity::More(step),
                _ => Quantity::Fewer(step),
            };
            proptest::prop_assert_eq!(quantity.to_string().parse::<Quantity>(), Ok(quantity));
        }

        #[test]
        fn quantity_never_panics(text in ".*") {
            let _ = text.parse::<Quantity>();
        }
    }
}
