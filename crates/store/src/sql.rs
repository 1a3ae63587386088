//! Small conversions between columns and the domain's types.

use crate::error::StoreError;
use domain::time::WallMillis;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A column whose text is not what its type says.
#[derive(Debug)]
struct Unexpected(String);

impl fmt::Display for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unexpected {}

fn unexpected(column: &str, detail: impl fmt::Display) -> rusqlite::Error {
    let told = Unexpected(format!("{column}: {detail}"));
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(told))
}

/// A column that holds a name or id as text.
pub(crate) fn parsed<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| unexpected(column, error))
}

/// The same, or NULL.
pub(crate) fn parsed_optional<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error| unexpected(column, error))).transpose()
}

/// A column that holds one of an enum's words.
pub(crate) fn word<T>(row: &Row<'_>, column: &str, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| unexpected(column, format!("\"{text}\" is no known word")))
}

/// A column that holds JSON.
pub(crate) fn json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unexpected(column, error))
}

/// The same, or NULL.
pub(crate) fn json_optional<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| unexpected(column, error))).transpose()
}

pub(crate) fn to_json<T: Serialize>(table: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Content { table, detail: error.to_string() })
}

pub(crate) fn wall(row: &Row<'_>, column: &str) -> rusqlite::Result<WallMillis> {
    number(row, column).map(WallMillis)
}

/// A column that holds a count or time, never negative.
pub(crate) fn number(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| unexpected(column, error))
}

pub(crate) fn small_number(row: &Row<'_>, column: &str) -> rusqlite::Result<u32> {
    let number: i64 = row.get(column)?;
    u32::try_from(number).map_err(|error| unexpected(column, error))
}

/// SQLite's integers are signed: what is beyond them becomes the greatest, never a number below zero.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_great_number_stays_great() {
        assert_eq!([0, 5, i64::MAX as u64, 1 << 63, u64::MAX].map(int), [0, 5, i64::MAX, i64::MAX, i64::MAX]);
    }
}
