//! The region of a call: an open set whose shape is checked, since the name becomes a host label. Needs
//! nothing; must not know which regions exist, because new ones open without notice.

use std::fmt;

use thiserror::Error;

/// Longest region name, in bytes: a DNS label (RFC 1035, section 2.3.4).
pub const MAX_REGION_BYTES: usize = 63;

/// A region such as `ap-guangzhou`; sent as `X-TC-Region` and, for financial regions, a part of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(String);

/// The text cannot be a region: it is not a lower-case DNS label that begins with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "a region is 1 to 63 lower-case letters, digits and hyphens, begins with a letter and ends with a letter or digit"
)]
pub struct InvalidRegion;

impl Region {
    /// Takes the text if it has the shape of a region. Source of the shape: a DNS label, the safe part of what
    /// the vendor's region names use.
    pub fn parse(text: &str) -> Result<Self, InvalidRegion> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let shaped = text.len() <= MAX_REGION_BYTES
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.chars().all(allowed);
        if shaped { Ok(Self(text.to_owned())) } else { Err(InvalidRegion) }
    }

    /// The name as the cloud writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a financial region, for which the regional host is mandatory (API page of
    /// `CreatePaiInstance`).
    pub fn is_financial(&self) -> bool {
        self.0.ends_with("-fsi")
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_label_is_a_region() {
        let longest = format!("a{}", "b".repeat(62));
        let too_long = format!("a{}", "b".repeat(63));
        let rows = [
            ("ap-guangzhou", true),
            ("ap-guangzhou-open", true),
            ("me-riyadh", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("-ap", false),
            ("ap-", false),
            ("1ap", false),
            ("AP-guangzhou", false),
            ("ap.guangzhou", false),
            ("ap/guangzhou", false),
            ("ap guangzhou", false),
            ("ap-guangzhou\n", false),
            ("ap-广州", false),
            ("evil.example#", false),
        ];
        for (text, accepted) in rows {
            assert_eq!(Region::parse(text).is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn financial_regions_end_in_fsi() {
        for (text, financial) in
            [("ap-shanghai-fsi", true), ("ap-shanghai", false), ("ap-fsi-shanghai", false), ("fsi", false)]
        {
            let region = Region::parse(text).unwrap();
            assert_eq!(region.is_financial(), financial, "{text}");
        }
    }
}
