//! TLS to the database, as strict as `sslmode` says.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use super::address::{Identity, PostgresAddress, Protection, Roots};

/// What a connection is protected with. The error names the file, and what to do.
pub(super) fn client(address: &PostgresAddress) -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let verified = match (address.protection, &address.roots) {
        (Protection::VerifyFull, Roots::System) => {
            builder.with_platform_verifier().map_err(|error| format!("the machine's certificates: {error}"))?
        }
        (Protection::VerifyFull, Roots::File(path)) => builder.with_root_certificates(roots(path)?),
        (Protection::VerifyCa, Roots::File(path)) => {
            let verifier = SomeVerification { roots: Some(roots(path)?), provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        _ => {
            let verifier = SomeVerification { roots: None, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    match &address.identity {
        None => Ok(verified.with_no_client_auth()),
        Some(Identity { certificates: path, key }) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("`sslkey`: {} holds no private key in PEM: {error}", key.display()))?;
            let config = verified.with_client_auth_cert(certificates(path, "sslcert")?, private);
            config.map_err(|error| format!("`sslcert` and `sslkey`: {error}"))
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "sslrootcert")? {
        roots.add(certificate).map_err(|error| format!("`sslrootcert`: {}: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path, option: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(format!("`{option}`: {} holds no certificate in PEM", path.display()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("`{option}`: {}: {error}", path.display())),
    }
}

/// Looks less closely than TLS wants: at who issued the certificate and not at whose it is, or at neither. That the
/// server has the certificate's key is verified all the same.
#[derive(Debug)]
struct SomeVerification {
    /// Whose certificates are trusted; none: everybody's.
    roots: Option<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SomeVerification {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
