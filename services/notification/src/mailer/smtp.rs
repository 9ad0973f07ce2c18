//! One conversation with a mail server for each mail.
//!
//! Its steps are taken one by one, because what a refusal means depends on where it comes: before the recipient is named it is
//! about us, from then on about this mail. And a mail is sent when its end is acknowledged, whatever becomes of the goodbye.

use std::{borrow::Cow, fmt, time::Duration};

use lettre::{
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use service_runtime::Error;
use tokio::time::timeout;
use url::Url;

use crate::delivery::Undelivered;

/// How long a whole conversation may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How long the goodbye may take.
const QUIT_DEADLINE: Duration = Duration::from_secs(1);

/// What a URL that cannot be used is answered with.
const FORMS: &str = "SMTP_URL must be smtps://user:password@host:port, smtp://user:password@host:port?tls=required, or \
                     smtp://host:port without a password";

/// A mail server.
pub(super) struct MailServer {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
}

/// How what is said is kept from others.
enum Security {
    /// Not at all.
    Clear,
    /// TLS after a greeting (RFC 3207), or nothing is said.
    StartTls(TlsParameters),
    /// TLS from the first byte (RFC 8314).
    Tls(TlsParameters),
}

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailServer").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl MailServer {
    /// The server that a URL names.
    pub(super) fn at(url: &SecretString) -> Result<Self, Error> {
        let url = Url::parse(url.expose_secret()).map_err(|_| wrong())?;
        let host = match url.host().ok_or_else(wrong)? {
            url::Host::Domain("") => return Err(wrong()),
            url::Host::Ipv6(address) => address.to_string(),
            host => host.to_string(),
        };
        let tls = || TlsParameters::new(host.clone()).map_err(|_| wrong());
        let (security, default_port) = match (url.scheme(), url.query()) {
            ("smtp", None) => (Security::Clear, 25),
            ("smtp", Some("tls=required")) => (Security::StartTls(tls()?), 587),
            ("smtps", None) => (Security::Tls(tls()?), 465),
            _ => return Err(wrong()),
        };
        let credentials = credentials(&url)?;
        let says_more = !matches!(url.path(), "" | "/") || url.fragment().is_some();
        if says_more || (credentials.is_some() && matches!(security, Security::Clear)) {
            return Err(wrong());
        }
        Ok(Self { port: url.port().unwrap_or(default_port), host, security, credentials })
    }

    /// Sends one mail.
    pub(super) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), Undelivered> {
        let mut connection = timeout(DEADLINE, self.hand_over(envelope, mail)).await.map_err(|_| {
            Undelivered::Outage(format!("the mail server did not take it within {} s", DEADLINE.as_secs()))
        })??;
        // it is sent already: a server that does not say goodbye must not make us send it again
        let _ = timeout(QUIT_DEADLINE, connection.quit()).await;
        Ok(())
    }

    /// The conversation up to the acknowledgement of the mail.
    async fn hand_over(&self, envelope: &Envelope, mail: &[u8]) -> Result<AsyncSmtpConnection, Undelivered> {
        let mut connection = self.connect().await.map_err(|error| about_us("does not let us in", &error))?;
        let mut parameters = Vec::new();
        if !envelope.to().iter().chain(envelope.from()).all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let reason = "the email of the account is not ASCII, and the mail server has no SMTPUTF8";
                return Err(Undelivered::Refused(reason.to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let sender = Mail::new(envelope.from().cloned(), parameters);
        connection.command(sender).await.map_err(|error| about_us("does not take mail from SMTP_FROM", &error))?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            connection.command(recipient).await.map_err(|error| about_the_mail("recipient", &error))?;
        }
        connection.command(Data).await.map_err(|error| about_the_mail("mail", &error))?;
        connection.message(mail).await.map_err(|error| about_the_mail("mail", &error))?;
        Ok(connection)
    }

    /// Greets, and says who we are where that is asked for.
    async fn connect(&self) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
        let address = (self.host.as_str(), self.port);
        let name = ClientId::default();
        let tls = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::Clear | Security::StartTls(_) => None,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, None, &name, tls, None).await?;
        if let Security::StartTls(parameters) = &self.security {
            connection.starttls(parameters.clone(), &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// The name and the password in a URL: both or none.
fn credentials(url: &Url) -> Result<Option<Credentials>, Error> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| wrong());
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(wrong()),
        (user, Some(password)) => Ok(Some(Credentials::new(decode(user)?, decode(password)?))),
    }
}

/// The URL itself is not shown: it may hold a password.
fn wrong() -> Error {
    Error::Config(FORMS.to_owned())
}

/// A failure that every mail would meet: it waits until the server or the settings are right again.
fn about_us(what: &str, error: &lettre::transport::smtp::Error) -> Undelivered {
    Undelivered::Outage(format!("the mail server {what}: {}", cause(error)))
}

/// A failure once the mail was at stake: only a 5xx is an answer about it.
fn about_the_mail(what: &str, error: &lettre::transport::smtp::Error) -> Undelivered {
    if error.is_permanent() {
        Undelivered::Refused(format!("the mail server refuses the {what}: {}", cause(error)))
    } else {
        Undelivered::Outage(format!("the mail server does not take the {what}: {}", cause(error)))
    }
}

/// The reply's code, or what kind of failure it was. The reply's words are left out: they often repeat the address.
fn cause(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(code) => format!("reply {code}"),
        None if error.is_tls() => "TLS failed".to_owned(),
        None if error.is_client() => "it lacks what is needed (STARTTLS, or a way to sign in)".to_owned(),
        None => "the connection failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<MailServer, String> {
        MailServer::at(&url.to_owned().into()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_form_of_the_url_has_its_security_and_port() {
        let clear = at("smtp://mail.example.com").unwrap();
        assert!(matches!(clear.security, Security::Clear) && clear.port == 25 && clear.credentials.is_none());
        let start = at("smtp://ada:secret@mail.example.com?tls=required").unwrap();
        assert!(matches!(start.security, Security::StartTls(_)) && start.port == 587 && start.credentials.is_some());
        let tls = at("smtps://ada%40example.com:p%2Fs@mail.example.com:4650").unwrap();
        assert!(matches!(tls.security, Security::Tls(_)) && tls.port == 4650);
        assert!(tls.credentials == Some(Credentials::new("ada@example.com".to_owned(), "p/s".to_owned())));
        assert_eq!(at("smtp://[::1]:2525").unwrap().host, "::1");
    }

    #[test]
    fn a_url_of_another_form_is_refused_without_showing_it() {
        for wrong in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp:///path",
            "smtps://ada@mail.example.com",
            "smtp://mail.example.com?tls=opportunistic",
            "smtp://mail.example.com:99999",
            "smtps://mail.example.com/name",
        ] {
            assert_eq!(at(wrong).unwrap_err(), FORMS, "{wrong}");
        }
    }

    #[test]
    fn a_password_never_travels_in_the_clear() {
        assert_eq!(at("smtp://ada:hunter2@mail.example.com").unwrap_err(), FORMS);
    }
}
