//! Rules about regions and zones: their form, and the isolation of the financial ones. Pure functions.

use crate::error::ApiError;

/// Whether `region` has the form of a region name. The set is open: new regions come and go, so only the
/// form is checked (lower-case labels, the first a two-letter continent).
pub(crate) fn well_formed(region: &str) -> bool {
    let mut labels = region.split('-');
    let continent = labels.next().unwrap_or_default();
    let place = labels.next().unwrap_or_default();
    let lower =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    continent.len() == 2
        && lower(continent)
        && lower(place)
        && place.bytes().all(|byte| byte.is_ascii_lowercase())
        && labels.all(|label| lower(label) && label.bytes().any(|byte| byte.is_ascii_lowercase()))
}

/// Checks `X-TC-Region` and, for the cloud's own host names only, that a financial region is reached through
/// its regional host and no other is (API page: the two are isolated from each other).
pub(crate) fn check(region: &str, host: &str) -> Result<(), ApiError> {
    let refused = |why: &str| Err(ApiError::new("UnsupportedRegion", why.to_owned()));
    if !well_formed(region) {
        return refused("The region is not supported.");
    }
    let name = host.split(':').next().unwrap_or_default();
    if !name.ends_with("tencentcloudapi.com") {
        return Ok(());
    }
    let financial_host = name.split('.').any(|label| label.ends_with("-fsi"));
    match (region.ends_with("-fsi"), financial_host) {
        (true, false) => refused("A financial region needs its regional domain name."),
        (false, true) => refused("A financial domain name serves financial regions only."),
        _ => Ok(()),
    }
}

/// Whether `zone` is `<region>-<n>`.
pub(crate) fn has_zone(region: &str, zone: &str) -> bool {
    zone.strip_prefix(region)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for region in ["ap-guangzhou", "ap-guangzhou-open", "ap-shanghai-fsi", "sa-saopaulo"] {
            assert!(well_formed(region), "{region}");
        }
        for region in ["", "guangzhou", "ap-", "AP-guangzhou", "ap-guangzhou-2", "ap-a.b", "moon-1"] {
            assert!(!well_formed(region), "{region}");
        }
    }

    #[test]
    fn financial_regions_need_their_host() {
        let code = |region, host| check(region, host).err().map(|error| error.code.into_owned());
        let refused = Some("UnsupportedRegion".to_owned());
        assert_eq!(code("ap-shanghai-fsi", "as.tencentcloudapi.com"), refused);
        assert_eq!(code("ap-shanghai-fsi", "as.ap-shanghai-fsi.tencentcloudapi.com"), None);
        assert_eq!(code("ap-shanghai", "as.ap-shanghai-fsi.tencentcloudapi.com"), refused);
        assert_eq!(code("ap-shanghai-fsi", "127.0.0.1:9000"), None);
    }

    #[test]
    fn zones() {
        assert!(has_zone("ap-guangzhou", "ap-guangzhou-2"));
        assert!(!has_zone("ap-guangzhou", "ap-shanghai-2"));
        assert!(!has_zone("ap-guangzhou", "ap-guangzhou-"));
        assert!(!has_zone("ap-guangzhou", "ap-guangzhou"));
    }
}
