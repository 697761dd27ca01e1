//! `tls_server_config`, as rustls understands it.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::AccessError;
use super::file::TlsServerConfig;

type Open<'a> = &'a mut dyn FnMut(&Path) -> Result<Vec<u8>, AccessError>;

/// The server's side of TLS; none where the section says nothing at all, as in the toolkit.
pub(super) fn config(
    wanted: &TlsServerConfig,
    path: &Path,
    open: Open<'_>,
) -> Result<Option<Arc<ServerConfig>>, AccessError> {
    let bad = |what: String| AccessError::Bad { path: path.to_owned(), what };
    let certificate = pem("cert", &wanted.cert, wanted.cert_file.as_deref(), path, open)?;
    let key = pem("key", &wanted.key, wanted.key_file.as_deref(), path, open)?;
    let ca = pem("client_ca", &wanted.client_ca, wanted.client_ca_file.as_deref(), path, open)?;
    let policy = wanted.client_auth_type.as_deref().unwrap_or_default();
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if ca.is_none() && policy.is_empty() => return Ok(None),
        (None, _) => return Err(bad("cert_file is missing from tls_server_config".into())),
        (_, None) => return Err(bad("key_file is missing from tls_server_config".into())),
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(format!("the certificate is no PEM: {error}")))?;
    if chain.is_empty() {
        return Err(bad("there is no certificate in the certificate's file".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| bad(format!("the key is no PEM with a private key: {error}")))?;
    if wanted.client_allowed_sans.as_ref().is_some_and(|names| !names.is_empty()) {
        let what = "client_allowed_sans is not supported; let client_ca_file be an authority that \
                    certifies those clients alone";
        return Err(bad(what.into()));
    }
    let provider = Arc::new(provider(wanted).map_err(bad)?);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(wanted).map_err(bad)?)
        .map_err(|error| bad(error.to_string()))?;
    let builder = match clients(policy, ca, provider).map_err(bad)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| bad(format!("certificate and key cannot be used: {error}")))?;
    config.ignore_client_order = wanted.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// What stands there itself, or in the file that is named there.
fn pem(
    name: &str,
    inline: &Option<String>,
    file: Option<&Path>,
    path: &Path,
    open: Open<'_>,
) -> Result<Option<Vec<u8>>, AccessError> {
    let inline = inline.as_deref().filter(|text| !text.is_empty());
    match (inline, file.filter(|file| !file.as_os_str().is_empty())) {
        (Some(_), Some(_)) => Err(AccessError::Bad {
            path: path.to_owned(),
            what: format!("{name} and {name}_file are both there; leave one out"),
        }),
        (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(file)) => open(file).map(Some),
        (None, None) => Ok(None),
    }
}

/// Go's names of the policies; those that take any certificate for good are none to rely on.
fn clients(
    policy: &str,
    ca: Option<Vec<u8>>,
    provider: Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let optional = match policy {
        "" | "NoClientCert" if ca.is_some() => {
            return Err("client_ca_file is there, but client_auth_type asks for no certificate; \
                        set it to RequireAndVerifyClientCert"
                .into());
        }
        "" | "NoClientCert" => return Ok(None),
        "VerifyClientCertIfGiven" => true,
        "RequireAndVerifyClientCert" => false,
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => {
            return Err(format!(
                "client_auth_type {policy} is not supported: it lets any certificate pass; use \
                 RequireAndVerifyClientCert, or VerifyClientCertIfGiven"
            ));
        }
        _ => {
            return Err(format!(
                "client_auth_type cannot be {policy:?}; it can be NoClientCert, \
                 VerifyClientCertIfGiven or RequireAndVerifyClientCert"
            ));
        }
    };
    let Some(ca) = ca else {
        return Err(format!("client_auth_type {policy} needs a client_ca_file"));
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&ca) {
        let certificate = certificate.map_err(|error| format!("client_ca is no PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("client_ca cannot be used: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    let verifier = builder.build().map_err(|error| format!("client_ca is no use: {error}"))?;
    Ok(Some(verifier))
}

fn versions(wanted: &TlsServerConfig) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let number = |key: &str, text: &Option<String>, unset| match text.as_deref() {
        None | Some("") => Ok(unset),
        Some("TLS12") => Ok(12),
        Some("TLS13") => Ok(13),
        Some(old @ ("TLS10" | "TLS11")) => Err(format!(
            "{key} {old} is not supported: it is broken (RFC 8996); use TLS12 or TLS13"
        )),
        Some(other) => Err(format!("{key} cannot be {other:?}; it can be TLS12 or TLS13")),
    };
    let lowest = number("min_version", &wanted.min_version, 12)?;
    let highest = number("max_version", &wanted.max_version, 13)?;
    if lowest > highest {
        return Err("min_version is above max_version".into());
    }
    let known = [(12, &TLS12), (13, &TLS13)];
    let within = known.iter().filter(|(number, _)| (lowest..=highest).contains(number));
    Ok(within.map(|(_, version)| *version).collect())
}

/// As in Go, suites and their order are those of TLS 1.2; those of 1.3 are always there.
fn provider(wanted: &TlsServerConfig) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if let Some(names) = wanted.cipher_suites.as_ref().filter(|names| !names.is_empty()) {
        let is_13 = |name: &str| name.starts_with("TLS13_");
        let of = |name: &str| {
            let found = ring::ALL_CIPHER_SUITES.iter().find(|suite| {
                let own = format!("{:?}", suite.suite());
                let same = own == name || own.strip_suffix("_SHA256") == Some(name);
                same || own.strip_prefix("TLS13_") == name.strip_prefix("TLS_") && is_13(&own)
            });
            found.copied().ok_or_else(|| {
                let all = ring::ALL_CIPHER_SUITES.iter().map(|s| format!("{:?}", s.suite()));
                let all: Vec<_> = all.filter(|name| !is_13(name)).collect();
                format!("the cipher suite {name} is not supported; those are {}", all.join(", "))
            })
        };
        let chosen: Vec<_> = names.iter().map(|name| of(name)).collect::<Result<_, _>>()?;
        let is_old = |suite: &tokio_rustls::rustls::SupportedCipherSuite| suite.tls13().is_none();
        provider.cipher_suites.retain(|suite| !is_old(suite));
        provider.cipher_suites.extend(chosen.into_iter().filter(is_old));
    }
    if let Some(names) = wanted.curve_preferences.as_ref().filter(|names| !names.is_empty()) {
        let groups = names.iter().map(|name| match name.as_str() {
            "X25519" => Ok(ring::kx_group::X25519),
            "CurveP256" => Ok(ring::kx_group::SECP256R1),
            "CurveP384" => Ok(ring::kx_group::SECP384R1),
            other => Err(format!(
                "the curve {other} is not supported; those are X25519, CurveP256 and CurveP384"
            )),
        });
        provider.kx_groups = groups.collect::<Result<_, _>>()?;
    }
    Ok(provider)
}
