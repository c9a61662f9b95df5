//! `DescribePaiInstances` and `PreviewPaiDomainName`: what the AS service says about domains.

use super::Cloud;
use super::calls::{Admitted, Done};
use super::listing::{Page, sent_ids};
use crate::error::ApiError;
use crate::faults::{Effect, Twists};
use serde_json::{Map, Value, json};

/// First halves of previewed names, after the example on the SDK's page.
const WORDS: &[&str] = &["apple", "cherry", "hawthorn", "mulberry", "salmonberry", "quince"];

impl Cloud {
    pub(super) fn describe_pai(
        &self,
        admitted: &Admitted,
        parameters: &Map<String, Value>,
        twists: &Twists,
    ) -> Result<Done, ApiError> {
        let page = Page::read(parameters)?;
        let ids = sent_ids(parameters, "InvalidParameterValue.InvalidInstanceId")?;
        // The filter names were never published, so none is known here.
        let filters = parameters.get("Filters").and_then(Value::as_array);
        if filters.is_some_and(|filters| !filters.is_empty()) && !twists.has(&Effect::IgnoreFilter {}) {
            return Err(ApiError::new("InvalidParameterValue.InvalidFilter", "The filter is not valid."));
        }
        let found: Vec<(&str, &str)> = self
            .listed(admitted, &ids)
            .into_iter()
            .filter_map(|instance| Some((instance.id.as_str(), instance.domain.as_deref()?)))
            .collect();
        Ok(page.answer("PaiInstanceSet", found, twists, |(id, domain)| {
            let page = format!("https://{domain}:5523");
            json!({"InstanceId": id, "DomainName": domain, "PaiMateUrl": page})
        }))
    }

    pub(super) fn preview(&mut self, parameters: &Map<String, Value>) -> Result<Done, ApiError> {
        let kind = parameters.get("DomainNameType").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "tcb") {
            return Err(ApiError::new(
                "InvalidParameterValue.InvalidPaiDomainNameType",
                "The domain name type is not supported.",
            ));
        }
        let word = self.rng.choice(WORDS).copied().unwrap_or_default();
        let domain = format!("{word}-{}.pai.tcloudbase.com", self.random_id());
        Ok(Done { fields: Map::from_iter([("DomainName".to_owned(), domain.into())]), created: Vec::new() })
    }
}
