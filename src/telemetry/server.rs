//! The HTTP servers for `/livez`, `/readyz` and `/metrics`. They read only and show no object. The metrics can be secured, health never is:
//! the kubelet has no token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::connections::Connections;
use super::health::Health;
use super::metrics::Metrics;
use super::reviews::{NoAnswer, Reviews, Verdict};

/// The content type of OpenMetrics text. Source: OpenMetrics 1.0.0.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/livez` and `/readyz` until the process ends.
pub async fn serve_health(connections: Connections, health: Arc<Health>) -> std::io::Result<()> {
    let router =
        Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz)).with_state(health);
    axum::serve(connections, router).await
}

/// Serves `/metrics` until the process ends.
pub async fn serve_metrics(connections: Connections, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(show_metrics)).with_state(metrics);
    axum::serve(connections, router).await
}

/// Serves `/metrics` by TLS, and only to those whom the API server knows by a bearer token and allows to get that path.
pub async fn serve_secured_metrics(
    connections: Connections,
    metrics: Arc<Metrics>,
    reviews: Arc<Reviews>,
) -> std::io::Result<()> {
    let router = Router::new().route("/metrics", get(show_secured_metrics)).with_state((metrics, reviews));
    axum::serve(connections, router).await
}

async fn show_secured_metrics(
    State((metrics, reviews)): State<(Arc<Metrics>, Arc<Reviews>)>,
    headers: HeaderMap,
) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    match reviews.judge(token.unwrap_or_default()).await {
        Ok(Verdict::Allowed) => show_metrics(State(metrics)).await.into_response(),
        Ok(Verdict::Forbidden { user }) => {
            let text = format!(
                "{user} may not get /metrics: bind it to the ClusterRole of this release that ends in -metrics-reader\n"
            );
            (StatusCode::FORBIDDEN, text).into_response()
        }
        Ok(Verdict::Unknown) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, challenge, "the token of a service account is needed\n").into_response()
        }
        Err(NoAnswer) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the API server does not say who asks: see the operator's log\n")
                .into_response()
        }
    }
}

/// The token of `Bearer TOKEN`; the word may be written in any case. Source: RFC 9110, 11.1.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn readyz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let missing = health.missing();
    if missing.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", missing.join("\n")))
    }
}

async fn show_metrics(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_the_scheme_bearer_alone() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for wrong in ["abc", "Basic abc", "Bearer", ""] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }
}
