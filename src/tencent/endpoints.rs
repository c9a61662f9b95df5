//! Which host answers for a service and a region. Needs the operator's options; must not fall back from one host to
//! another, since a create that fails over may buy twice.

use std::collections::BTreeMap;

use reqwest::Url;
use thiserror::Error;

use super::action::Service;
use super::region::Region;

/// Root domain for accounts of the mainland cloud. Source: vendor page on endpoints.
pub const DEFAULT_ROOT: &str = "tencentcloudapi.com";
/// Longest root domain, in bytes, that leaves room for service and region within a host name (RFC 1035).
const MAX_ROOT_BYTES: usize = 180;

/// The endpoints of this installation.
#[derive(Debug, Clone)]
pub struct Endpoints {
    root: String,
    overrides: BTreeMap<Service, Endpoint>,
    allow_insecure: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    url: String,
    host: String,
}

/// An endpoint option that cannot be used. Does not repeat the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidEndpoint {
    /// The root is not a lower-case domain name.
    #[error("the endpoint root must be a lower-case domain name such as tencentcloudapi.com")]
    Root,
    /// The option has no `=`.
    #[error("an endpoint is written SERVICE=URL, for example as=https://as.example.com")]
    Form,
    /// Not `as` or `cvm`.
    #[error("there is no service {0:?} to replace the endpoint of; the services are as and cvm")]
    Service(String),
    /// The service is given twice.
    #[error("the endpoint of {0} is given twice")]
    Twice(Service),
    /// Not an absolute http or https URL with a host.
    #[error("the endpoint of {0} is not an https URL with a host")]
    Url(Service),
    /// Holds a path, a query, a fragment or a user: none of them would be sent.
    #[error("the endpoint of {0} must be scheme, host and port alone")]
    Extra(Service),
    /// Plain HTTP shows passwords to everybody on the way.
    #[error("the endpoint of {0} is http://, which needs --allow-insecure-endpoints")]
    Insecure(Service),
}

impl Endpoints {
    /// Reads the options. `overrides` are of the form `SERVICE=URL`; `http://` is refused unless `allow_insecure`.
    pub fn new(root: &str, overrides: &[String], allow_insecure: bool) -> Result<Self, InvalidEndpoint> {
        if !is_domain(root) {
            return Err(InvalidEndpoint::Root);
        }
        let mut replaced = BTreeMap::new();
        for text in overrides {
            let (name, url) = text.split_once('=').ok_or(InvalidEndpoint::Form)?;
            let service = Service::ALL
                .into_iter()
                .find(|service| service.name() == name)
                .ok_or_else(|| InvalidEndpoint::Service(name.chars().take(MAX_SHOWN_NAME).collect()))?;
            let endpoint = parse(service, url, allow_insecure)?;
            if replaced.insert(service, endpoint).is_some() {
                return Err(InvalidEndpoint::Twice(service));
            }
        }
        Ok(Self { root: root.to_owned(), overrides: replaced, allow_insecure })
    }

    /// Whether a transport for these endpoints must be able to speak plain HTTP.
    pub fn allow_insecure(&self) -> bool {
        self.allow_insecure
    }

    /// The URL to post to, and the `Host` header to sign and send, with a port when it is not the default one. An
    /// override wins; a financial region takes the regional host, which is mandatory there (API page); all else takes
    /// the default host.
    pub fn url(&self, service: Service, region: &Region) -> (String, String) {
        if let Some(endpoint) = self.overrides.get(&service) {
            return (endpoint.url.clone(), endpoint.host.clone());
        }
        let host = if region.is_financial() {
            format!("{service}.{region}.{}", self.root)
        } else {
            format!("{service}.{}", self.root)
        };
        (format!("https://{host}/"), host)
    }
}

/// How much of an unknown service name is repeated, in characters.
const MAX_SHOWN_NAME: usize = 32;

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= MAX_ROOT_BYTES && text.split('.').all(label)
}

fn parse(service: Service, text: &str, allow_insecure: bool) -> Result<Endpoint, InvalidEndpoint> {
    let url = Url::parse(text).map_err(|_| InvalidEndpoint::Url(service))?;
    let host = match url.scheme() {
        "https" | "http" => url.host_str().filter(|host| !host.is_empty()),
        _ => None,
    }
    .ok_or(InvalidEndpoint::Url(service))?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !bare {
        return Err(InvalidEndpoint::Extra(service));
    }
    if url.scheme() == "http" && !allow_insecure {
        return Err(InvalidEndpoint::Insecure(service));
    }
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok(Endpoint { url: format!("{}://{host}/", url.scheme()), host })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root, overrides, service, region, and the expected URL and host.
    type Row = (&'static str, &'static [&'static str], Service, &'static str, &'static str, &'static str);

    fn endpoints(root: &str, overrides: &[&str], insecure: bool) -> Result<Endpoints, InvalidEndpoint> {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Endpoints::new(root, &overrides, insecure)
    }

    #[test]
    fn the_host_follows_override_then_region_then_root() {
        let rows: [Row; 8] = [
            (
                DEFAULT_ROOT,
                &[],
                Service::As,
                "ap-guangzhou",
                "https://as.tencentcloudapi.com/",
                "as.tencentcloudapi.com",
            ),
            (
                DEFAULT_ROOT,
                &[],
                Service::Cvm,
                "ap-guangzhou",
                "https://cvm.tencentcloudapi.com/",
                "cvm.tencentcloudapi.com",
            ),
            (
                DEFAULT_ROOT,
                &[],
                Service::As,
                "ap-shanghai-fsi",
                "https://as.ap-shanghai-fsi.tencentcloudapi.com/",
                "as.ap-shanghai-fsi.tencentcloudapi.com",
            ),
            (
                "internal.tencentcloudapi.com",
                &[],
                Service::As,
                "ap-guangzhou",
                "https://as.internal.tencentcloudapi.com/",
                "as.internal.tencentcloudapi.com",
            ),
            (
                DEFAULT_ROOT,
                &["as=http://127.0.0.1:9000"],
                Service::As,
                "ap-shanghai-fsi",
                "http://127.0.0.1:9000/",
                "127.0.0.1:9000",
            ),
            (
                DEFAULT_ROOT,
                &["as=http://127.0.0.1:9000"],
                Service::Cvm,
                "ap-guangzhou",
                "https://cvm.tencentcloudapi.com/",
                "cvm.tencentcloudapi.com",
            ),
            // The client that sends leaves a default port out of Host, so it must not be signed either.
            (
                DEFAULT_ROOT,
                &["cvm=https://CVM.example:443/"],
                Service::Cvm,
                "ap-guangzhou",
                "https://cvm.example/",
                "cvm.example",
            ),
            (
                DEFAULT_ROOT,
                &["cvm=https://[::1]:8443"],
                Service::Cvm,
                "ap-guangzhou",
                "https://[::1]:8443/",
                "[::1]:8443",
            ),
        ];
        for (root, overrides, service, region, url, host) in rows {
            let endpoints = endpoints(root, overrides, true).unwrap();
            let found = endpoints.url(service, &Region::parse(region).unwrap());
            assert_eq!(found, (url.to_owned(), host.to_owned()));
        }
    }

    #[test]
    fn unusable_options_are_refused() {
        use InvalidEndpoint as E;
        let rows: [(&str, &[&str], bool, E); 18] = [
            ("", &[], true, E::Root),
            ("tencentcloudapi.com.", &[], true, E::Root),
            ("tencentcloudapi.com/x", &[], true, E::Root),
            ("tencentcloudapi.com:80", &[], true, E::Root),
            ("Tencentcloudapi.com", &[], true, E::Root),
            (DEFAULT_ROOT, &["https://as.example"], true, E::Form),
            (DEFAULT_ROOT, &["sts=https://x"], true, E::Service("sts".into())),
            (DEFAULT_ROOT, &["AS=https://x"], true, E::Service("AS".into())),
            (DEFAULT_ROOT, &["as=https://a", "as=https://b"], true, E::Twice(Service::As)),
            (DEFAULT_ROOT, &["as="], true, E::Url(Service::As)),
            (DEFAULT_ROOT, &["as=as.example"], true, E::Url(Service::As)),
            (DEFAULT_ROOT, &["as=ftp://as.example"], true, E::Url(Service::As)),
            (DEFAULT_ROOT, &["as=https://as.example/path"], true, E::Extra(Service::As)),
            (DEFAULT_ROOT, &["as=https://as.example?q"], true, E::Extra(Service::As)),
            (DEFAULT_ROOT, &["as=https://as.example#f"], true, E::Extra(Service::As)),
            (DEFAULT_ROOT, &["as=https://user:pass@as.example"], true, E::Extra(Service::As)),
            (DEFAULT_ROOT, &["as=http://127.0.0.1:9000"], false, E::Insecure(Service::As)),
            (DEFAULT_ROOT, &["cvm=https://x", "as=http://y"], false, E::Insecure(Service::As)),
        ];
        for (root, overrides, insecure, expected) in rows {
            let refused = endpoints(root, overrides, insecure).unwrap_err();
            assert_eq!(refused, expected, "{root} {overrides:?}");
            assert!(!refused.to_string().contains("pass"), "{refused}");
        }
    }
}
