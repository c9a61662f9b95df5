//! Types of parameters: refuses unknown, missing and wrongly typed ones and turns the all-string values of the
//! GET form into typed JSON. A pure function over tables; the value rules stand with the actions.

use crate::error::ApiError;
use crate::parameters::Form;
use serde_json::{Map, Value};

/// Type of a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Text,
    /// int64.
    Int,
    /// uint64.
    Uint,
    Bool,
    List(&'static Kind),
    Object(&'static [Field]),
}

/// One parameter of an action or of a structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    kind: Kind,
    required: bool,
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const TEXTS: Kind = Kind::List(&Kind::Text);
const FILTERS: Kind = Kind::List(&Kind::Object(&[required("Name", Kind::Text), required("Values", TEXTS)]));

/// `CreatePaiInstance` (API page and SDK agree on names, types and required flags).
pub(crate) const CREATE: &[Field] = &[
    required("DomainName", Kind::Text),
    required(
        "InternetAccessible",
        Kind::Object(&[
            optional("InternetChargeType", Kind::Text),
            optional("InternetMaxBandwidthOut", Kind::Uint),
            optional("PublicIpAssigned", Kind::Bool),
            optional("BandwidthPackageId", Kind::Text),
        ]),
    ),
    optional("InitScript", Kind::Text),
    optional("Zones", TEXTS),
    optional("VpcId", Kind::Text),
    optional("SubnetIds", TEXTS),
    optional("InstanceName", Kind::Text),
    optional("InstanceTypes", TEXTS),
    optional(
        "LoginSettings",
        Kind::Object(&[
            optional("Password", Kind::Text),
            optional("KeyIds", TEXTS),
            optional("KeepImageLogin", Kind::Bool),
        ]),
    ),
    optional("InstanceChargeType", Kind::Text),
    optional(
        "InstanceChargePrepaid",
        Kind::Object(&[required("Period", Kind::Int), optional("RenewFlag", Kind::Text)]),
    ),
];

/// `SystemDisk` of `CreatePaiInstance`: in the page's example only.
pub(crate) const SYSTEM_DISK: Field =
    optional("SystemDisk", Kind::Object(&[optional("DiskType", Kind::Text), optional("DiskSize", Kind::Int)]));

/// Both listings take the same parameters.
pub(crate) const DESCRIBE: &[Field] = &[
    optional("InstanceIds", TEXTS),
    optional("Filters", FILTERS),
    optional("Offset", Kind::Uint),
    optional("Limit", Kind::Uint),
];

/// `PreviewPaiDomainName`.
pub(crate) const PREVIEW: &[Field] = &[optional("DomainNameType", Kind::Text)];

/// `TerminateInstances`.
pub(crate) const TERMINATE: &[Field] = &[
    required("InstanceIds", TEXTS),
    optional("ReleaseAddress", Kind::Bool),
    optional("ReleasePrepaidDataDisks", Kind::Bool),
];

/// Checks `value` against `fields` and returns it with typed values.
///
/// Unknown parameters are reported first, then missing ones, then types: our choice of an order.
pub(crate) fn check(fields: &[Field], value: &Map<String, Value>, form: Form) -> Result<Map<String, Value>, ApiError> {
    object(fields, value, form, "")
}

fn object(
    fields: &[Field],
    value: &Map<String, Value>,
    form: Form,
    path: &str,
) -> Result<Map<String, Value>, ApiError> {
    let full = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    if let Some(name) = value.keys().find(|name| !fields.iter().any(|field| field.name == name.as_str())) {
        return Err(ApiError::unknown(&full(name)));
    }
    let mut typed = Map::new();
    for field in fields {
        match value.get(field.name) {
            Some(value) => {
                let value = convert(field.kind, value, form, &full(field.name))?;
                typed.insert(field.name.to_owned(), value);
            }
            None if field.required => return Err(ApiError::missing(&full(field.name))),
            None => {}
        }
    }
    Ok(typed)
}

fn convert(kind: Kind, value: &Value, form: Form, path: &str) -> Result<Value, ApiError> {
    let wrong = |expected: &str| {
        ApiError::new("InvalidParameter", format!("The parameter `{path}` is not of the type {expected}."))
    };
    match (kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Bool, Value::Bool(_)) => Ok(value.clone()),
        (Kind::Int, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
        (Kind::Uint, Value::Number(number)) if number.is_u64() => Ok(value.clone()),
        (Kind::Int, Value::String(text)) if form == Form::Query => {
            text.parse::<i64>().map(Value::from).map_err(|_| wrong("int64"))
        }
        (Kind::Uint, Value::String(text)) if form == Form::Query => {
            text.parse::<u64>().map(Value::from).map_err(|_| wrong("uint64"))
        }
        (Kind::Bool, Value::String(text)) if form == Form::Query => {
            text.to_ascii_lowercase().parse::<bool>().map(Value::from).map_err(|_| wrong("bool"))
        }
        (Kind::List(of), Value::Array(items)) => {
            items.iter().enumerate().map(|(index, item)| convert(*of, item, form, &format!("{path}.{index}"))).collect()
        }
        (Kind::Object(fields), Value::Object(inner)) => object(fields, inner, form, path).map(Value::Object),
        (Kind::Text, _) => Err(wrong("string")),
        (Kind::Int, _) => Err(wrong("int64")),
        (Kind::Uint, _) => Err(wrong("uint64")),
        (Kind::Bool, _) => Err(wrong("bool")),
        (Kind::List(_), _) => Err(wrong("list")),
        (Kind::Object(_), _) => Err(wrong("object")),
    }
}
