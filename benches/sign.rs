//! The time to sign one `CreatePaiInstance` request: the page's example, with the headers that the operator signs.
//! `make bench` reads criterion's estimate.

use std::hint::black_box;

use criterion::Criterion;
use jiff::Timestamp;
use pai_operator::tencent::credentials::{Credentials, InvalidCredentials};
use pai_operator::tencent::sign::{Payload, RequestParts, sign};

/// The example of the API page, as it is sent.
const BODY: &[u8] = br#"{"DomainName":"apple-gz012345.pai.tcloudbase.com","InitScript":"IyEvYmluL2Jhc2gKZWNobyAiaGVsbG8iCg==","Zones":["ap-guangzhou-2"],"InstanceChargeType":"POSTPAID_BY_HOUR","InstanceTypes":["S4.SMALL2"],"SystemDisk":{"DiskType":"CLOUD_BASIC","DiskSize":50},"InternetAccessible":{"InternetChargeType":"TRAFFIC_POSTPAID_BY_HOUR","InternetMaxBandwidthOut":10},"InstanceName":"default-web-f1aeaa6a079f45538988a13186bf42de","LoginSettings":{"Password":"PAI@Test123"}}"#;

fn main() -> Result<(), InvalidCredentials> {
    let mut criterion = Criterion::default().configure_from_args();
    let (id, key) = ("AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE");
    let credentials = Credentials::new(id, key.into(), None)?;
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("host", "as.tencentcloudapi.com"),
        ("x-tc-action", "CreatePaiInstance"),
    ];
    criterion.bench_function("sign_create_request", |bencher| {
        bencher.iter(|| {
            let parts = RequestParts {
                method: "POST",
                query: "",
                service: "as",
                headers: black_box(&headers),
                payload: Payload::Signed(black_box(BODY)),
            };
            sign(&parts, black_box(&credentials), black_box(Timestamp::UNIX_EPOCH))
        });
    });
    criterion.final_summary();
    Ok(())
}
