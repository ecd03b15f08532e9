//! Certificates for the broker are looked at when the settings are loaded.

use anyhow::Result;
use testbed::certificates::{Authority, Validity};

use super::{GOOD, load_text};

#[test]
fn what_tls_to_the_broker_needs_is_looked_at_when_the_settings_are_loaded() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (authority, other) = (Authority::new()?, Authority::new()?.client("worker", Validity::Now)?);
    let ours = authority.client("worker", Validity::Now)?;
    std::fs::write(file("ca.pem"), authority.pem())?;
    std::fs::write(file("ours.pem"), ours.both())?;
    std::fs::write(file("ours.crt"), &ours.pem)?;
    std::fs::write(file("other.key"), &other.key_pem)?;
    std::fs::write(file("empty"), "")?;
    let load_with = |lines: &str, scheme: &str| {
        load_text(&GOOD.replace("url = \"amqp:", &format!("{lines}\nurl = \"{scheme}:")), &[])
    };
    let good = format!(
        "ca_file = '{}'\ncertificate_file = '{}'\nauthentication = 'certificate'",
        file("ca.pem"),
        file("ours.pem")
    );
    assert!(load_with(&good, "amqps")?.is_ok());
    for (lines, scheme, told) in [
        (
            good.clone(),
            "amqp",
            "rabbitmq.ca_file: is of no use without TLS: begin rabbitmq.url with amqps://".to_owned(),
        ),
        (
            format!("ca_file = '{}'", file("none")),
            "amqps",
            format!("rabbitmq.ca_file: file {} cannot be read", file("none")),
        ),
        (format!("ca_file = '{}'", file("empty")), "amqps", "holds no certificate (PEM)".to_owned()),
        (
            format!("certificate_file = '{}'", file("ours.crt")),
            "amqps",
            "holds no private key (PEM): put it there".to_owned(),
        ),
        (
            format!("certificate_file = '{}'\ncertificate_key_file = '{}'", file("ours.crt"), file("other.key")),
            "amqps",
            "rabbitmq.certificate_key_file: file".to_owned(),
        ),
        (
            format!("certificate_key_file = '{}'", file("other.key")),
            "amqps",
            "needs rabbitmq.certificate_file".to_owned(),
        ),
        (
            "authentication = 'certificate'".to_owned(),
            "amqps",
            "rabbitmq.authentication: \"certificate\" needs".to_owned(),
        ),
        ("authentication = 'kerberos'".to_owned(), "amqps", "rabbitmq.authentication".to_owned()),
    ] {
        let error = load_with(&lines, scheme)?.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(&told) && !error.contains("hunter2") && !error.contains("PRIVATE"), "{lines}: {error}");
    }
    Ok(())
}
