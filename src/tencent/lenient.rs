//! Reads reply fields so that null, absent, empty and misshapen all mean "not there": the cloud promises less about
//! its replies than about its requests. Must not be used for the fields on which a decision hangs.

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Any value, or its default.
pub(super) fn value<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let found = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(found).unwrap_or_default())
}

/// An object, or its default. Derived readers of objects would take a list for one.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let found = Value::deserialize(deserializer)?;
    let found = if found.is_object() { found } else { Value::Null };
    Ok(serde_json::from_value(found).unwrap_or_default())
}

/// A text that is not empty.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let found: Option<String> = value(deserializer)?;
    Ok(found.filter(|text| !text.is_empty()))
}

/// A list without the elements that cannot be read.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let found: Vec<Value> = value(deserializer)?;
    Ok(found.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect())
}

/// A time in RFC 3339, with `Z` or an offset.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.parse().ok()))
}

/// A list on which a decision hangs: null is empty, but one bad element spoils the whole reply, since a listing that
/// silently leaves a machine out would be taken for its absence.
pub(super) fn whole_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
