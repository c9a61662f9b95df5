//! Reads reply fields so that null, absent, empty and misshapen all mean "not there": the cloud promises less about
//! its replies than about its requests. Must not be used for the fields on which a decision hangs.
//!
//! Nothing is built of what is not wanted: a sweep of ten thousand machines reads half a million fields.

use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What stands in a field, by its shape.
enum Found<T> {
    /// A text, number or truth value, or null.
    Scalar(Value),
    /// The scalars of a list.
    List(Vec<Value>),
    Object(T),
}

/// For whoever wants no object.
type Flat = Found<IgnoredAny>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Found<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FoundVisitor(PhantomData))
    }
}

struct FoundVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FoundVisitor<T> {
    type Value = Found<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Found<T>, E> {
        Ok(Found::Scalar(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Found<T>, E> {
        Ok(Found::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Found<T>, E> {
        Ok(Found::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Found<T>, E> {
        Ok(Found::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Found<T>, E> {
        Ok(Found::Scalar(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Found<T>, E> {
        Ok(Found::Scalar(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Found<T>, E> {
        Ok(Found::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Found<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element::<Flat>()? {
            if let Found::Scalar(value) = element {
                list.push(value);
            }
        }
        Ok(Found::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Found<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(Found::Object)
    }
}

/// A text, number or truth value, or the default.
pub(super) fn scalar<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    Ok(match Flat::deserialize(deserializer)? {
        Found::Scalar(value) => serde_json::from_value(value).unwrap_or_default(),
        _ => T::default(),
    })
}

/// An object of such fields, or its default. A key that stands in it twice spoils the whole reply.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(match Found::deserialize(deserializer)? {
        Found::Object(object) => object,
        _ => T::default(),
    })
}

/// A text that is not empty.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Flat::deserialize(deserializer)? {
        Found::Scalar(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    })
}

/// A list of scalars without the elements that cannot be read.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(match Flat::deserialize(deserializer)? {
        Found::List(values) => values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect(),
        _ => Vec::new(),
    })
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
