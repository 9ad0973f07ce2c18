//! Mutual TLS between services, for clusters that have no mesh: whoever calls and whoever answers shows a certificate of one CA.
//!
//! What is in the folder is read again every few seconds, so certificates are renewed without a restart: connections that are
//! opened from then on use the new ones, those that stand go on. Files that cannot be used leave the old ones in place, and one
//! line in the log names the file. To exchange the CA, let `ca.crt` hold both for as long as certificates of both are about.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use service_runtime::{Error, config::TlsConfig};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, server::TlsStream};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, info, warn};

/// How often the files are read.
const READ_EVERY: Duration = Duration::from_secs(5);

/// How long a caller may take to show his certificate: ours give up sooner.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(2);

/// Handshakes at once; more callers wait to be accepted.
const HANDSHAKES_MAX: usize = 256;

/// The names that cert-manager gives them: our certificate, its key, and the CA of all.
const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// HTTP/2, as in RFC 7301.
const H2: &[u8] = b"h2";

/// How services speak with each other: in the clear, or by the certificates of a folder. Its task ends with its last clone and
/// the last channel and server that came from it.
#[derive(Clone)]
pub struct Tls(Option<watch::Receiver<Sides>>);

/// What is made of one state of the folder.
#[derive(Clone)]
struct Sides {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_some() { "Tls(on)" } else { "Tls(off)" })
    }
}

impl Tls {
    /// In the clear.
    pub const fn off() -> Self {
        Self(None)
    }

    /// As the setting says. What is wrong with the files is told at once; later changes are followed.
    pub fn open(config: &TlsConfig) -> Result<Self, Error> {
        if config.tls_dir.is_empty() {
            return Ok(Self::off());
        }
        let opened = Folder::open(PathBuf::from(&config.tls_dir));
        let (folder, sides) = opened.map_err(|why| Error::Config(format!("TLS_DIR {why}")))?;
        let (sender, sides) = watch::channel(sides);
        tokio::spawn(follow(folder, sender));
        Ok(Self(Some(sides)))
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A connection to `host`, which must show a certificate of that name, over `stream`.
    pub(crate) async fn secured(&self, host: &str, stream: TcpStream) -> io::Result<Box<dyn Wire>> {
        let Some(sides) = &self.0 else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(sides.borrow().client.clone());
        Ok(Box::new(connector.connect(name, stream).await?))
    }

    /// Those of the callers that show a certificate; all of them back if this is in the clear.
    pub(crate) fn callers<S>(&self, callers: S) -> Result<ReceiverStream<io::Result<Caller>>, S>
    where
        S: Stream<Item = io::Result<TcpStream>> + Send + 'static,
    {
        let Some(sides) = self.0.clone() else { return Err(callers) };
        let (accepted, shown) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                () = let_in(callers, sides, accepted.clone()) => {}
                () = accepted.closed() => {}
            }
        });
        Ok(ReceiverStream::new(shown))
    }
}

/// Bytes both ways.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

type Files = [Vec<u8>; 3];

fn read(folder: &Path) -> Result<Files, String> {
    let mut files = Files::default();
    for (file, name) in files.iter_mut().zip(FILES) {
        let path = folder.join(name);
        *file = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(files)
}

/// What the files make, or what is wrong with which of them.
fn sides(folder: &Path, [certificate, key, ca]: &Files) -> Result<Sides, String> {
    let told = |index: usize| move |why: &dyn fmt::Display| format!("{}: {why}", folder.join(FILES[index]).display());
    let (in_certificate, in_key, in_ca) = (told(0), told(1), told(2));
    let provider = Arc::new(aws_lc_rs::default_provider());

    let chain = certificates(certificate).map_err(|error| in_certificate(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| in_key(&error))?;
    let mut roots = RootCertStore::empty();
    for root in certificates(ca).map_err(|error| in_ca(&error))? {
        roots.add(root).map_err(|error| in_ca(&error))?;
    }
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = verifier.build().map_err(|error| in_ca(&error))?;
    // as everybody will look at it
    let (own, between) = chain.split_first().ok_or_else(|| in_certificate(&"there is no certificate in it"))?;
    verifier.verify_client_cert(own, between, UnixTime::now()).map_err(|error| match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            in_certificate(&format_args!("{} is not its CA", FILES[2]))
        }
        // without the time of now, so that it is told once
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            in_certificate(&"it has expired")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => in_certificate(&"it is not valid yet"),
        other => in_certificate(&other),
    })?;

    let server =
        builder(&provider, |provider| ServerConfig::builder_with_provider(provider).with_protocol_versions(TLS));
    let mut server = server
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), key.clone_key())
        .map_err(|error| in_key(&error))?;
    // everybody shows his certificate at each connection: none comes back with what he showed to an older one
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    server.alpn_protocols = vec![H2.to_vec()];

    let client =
        builder(&provider, |provider| ClientConfig::builder_with_provider(provider).with_protocol_versions(TLS));
    let mut client =
        client.with_root_certificates(roots).with_client_auth_cert(chain, key).map_err(|error| in_key(&error))?;
    client.resumption = Resumption::disabled();
    client.alpn_protocols = vec![H2.to_vec()];
    Ok(Sides { client: Arc::new(client), server: Arc::new(server) })
}

/// Both ends are ours, so nothing older is needed.
const TLS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn builder<B>(
    provider: &Arc<CryptoProvider>,
    build: impl FnOnce(Arc<CryptoProvider>) -> Result<B, rustls::Error>,
) -> B {
    build(provider.clone()).expect("aws-lc-rs knows TLS 1.3")
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => Err("there is no certificate in it".to_owned()),
        Ok(all) => Ok(all),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads the folder again and again, until nobody wants to know.
async fn follow(mut folder: Folder, sides_now: watch::Sender<Sides>) {
    loop {
        tokio::select! {
            () = sleep(READ_EVERY) => {}
            () = sides_now.closed() => return,
        }
        let looked = tokio::task::spawn_blocking(move || {
            let news = folder.look();
            (folder, news)
        });
        let Ok((looked_at, news)) = looked.await else { return };
        folder = looked_at;
        match news {
            Some(Ok(sides)) => {
                info!(folder = %folder.path.display(), "the certificates have changed, new connections use the new ones");
                sides_now.send_replace(sides);
            }
            Some(Err(why)) => {
                warn!(why, "the certificates in the folder cannot be used, going on with the last ones that could");
            }
            None => {}
        }
    }
}

/// The folder as it was found last.
struct Folder {
    path: PathBuf,
    used: Files,
    /// What is wrong with it now: it is told once.
    told: Option<String>,
}

impl Folder {
    fn open(path: PathBuf) -> Result<(Self, Sides), String> {
        let used = read(&path)?;
        let sides = sides(&path, &used)?;
        Ok((Self { path, used, told: None }, sides))
    }

    /// What is new in it: other files, or that the time of those that are used is over.
    fn look(&mut self) -> Option<Result<Sides, String>> {
        let made = read(&self.path).and_then(|files| Ok((sides(&self.path, &files)?, files)));
        match made {
            Ok((sides, files)) => {
                self.told = None;
                let is_new = files != self.used;
                self.used = files;
                is_new.then_some(Ok(sides))
            }
            Err(why) if self.told.as_ref() == Some(&why) => None,
            Err(why) => {
                self.told = Some(why.clone());
                Some(Err(why))
            }
        }
    }
}

/// Lets in whoever shows a certificate, each in a task of his own.
async fn let_in<S>(callers: S, sides: watch::Receiver<Sides>, accepted: mpsc::Sender<io::Result<Caller>>)
where
    S: Stream<Item = io::Result<TcpStream>>,
{
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut callers = pin!(callers);
    loop {
        let permit = handshakes.clone().acquire_owned().await.expect("it is never closed");
        let stream = match callers.next().await {
            Some(Ok(stream)) => stream,
            Some(Err(error)) => {
                warn!(%error, "a caller was not accepted");
                continue;
            }
            None => return,
        };
        let acceptor = TlsAcceptor::from(sides.borrow().server.clone());
        let accepted = accepted.clone();
        tokio::spawn(async move {
            let address = stream.peer_addr();
            match timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await.unwrap_or_else(|late| Err(late.into())) {
                // it fails when the server has ended
                Ok(stream) => drop(accepted.send(Ok(Caller(stream))).await),
                Err(error) => debug!(?address, %error, "a caller showed no certificate that is accepted"),
            }
            drop(permit);
        });
    }
}

/// A connection of somebody who has shown his certificate.
#[derive(Debug)]
pub(crate) struct Caller(TlsStream<TcpStream>);

impl Connected for Caller {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.0.get_ref().0.connect_info()
    }
}

impl AsyncRead for Caller {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Caller {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::*;

    /// Certificates of one CA, of a service `order`, until the year `until`.
    fn issue(until: i32) -> Files {
        let ca_key = KeyPair::generate().expect("a key");
        let mut ca = CertificateParams::new([]).expect("no name is wrong");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).expect("it is signed").pem();
        let key = KeyPair::generate().expect("a key");
        let mut order = CertificateParams::new(["order".to_owned()]).expect("a name");
        order.not_after = date_time_ymd(until, 1, 1);
        let order = order.signed_by(&key, &Issuer::new(ca, ca_key)).expect("it is signed");
        [order.pem(), key.serialize_pem(), ca_pem].map(String::into_bytes)
    }

    fn write(folder: &TempDir, files: &Files) {
        for (file, name) in files.iter().zip(FILES) {
            fs::write(folder.path().join(name), file).expect("it is written");
        }
    }

    fn folder(files: &Files) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder, files);
        folder
    }

    fn refused(files: &Files) -> String {
        let folder = folder(files);
        let config = TlsConfig { tls_dir: folder.path().display().to_string() };
        match Tls::open(&config) {
            Err(Error::Config(line)) => line.replace(&config.tls_dir, "…"),
            other => panic!("it is {other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_told_at_the_start_with_the_name_of_the_file() {
        let [certificate, key, ca] = issue(2100);
        let [other, other_key, other_ca] = issue(2100);
        let [expired, expired_key, expired_ca] = issue(2020);
        let nothing = Vec::new;
        for (files, wanted) in [
            ([nothing(), key.clone(), ca.clone()], "TLS_DIR …/tls.crt: there is no certificate in it"),
            ([certificate.clone(), nothing(), ca.clone()], "TLS_DIR …/tls.key: "),
            ([certificate.clone(), key.clone(), nothing()], "TLS_DIR …/ca.crt: there is no certificate in it"),
            ([certificate.clone(), other_key, ca.clone()], "TLS_DIR …/tls.key: "),
            ([certificate, key, other_ca], "TLS_DIR …/tls.crt: ca.crt is not its CA"),
            ([expired, expired_key, expired_ca], "TLS_DIR …/tls.crt: it has expired"),
            ([other, nothing(), ca], "TLS_DIR …/tls.key: "),
        ] {
            let line = refused(&files);
            assert!(line.starts_with(wanted) && !line.contains('\n'), "{line}");
        }
        let config = TlsConfig { tls_dir: "/nowhere".to_owned() };
        let line = Tls::open(&config).expect_err("nothing is there").to_string();
        assert!(line.starts_with("TLS_DIR /nowhere/tls.crt: "), "{line}");
    }

    #[test]
    fn a_changed_file_that_cannot_be_used_is_told_once_and_leaves_the_old_one() {
        let (old, new) = (issue(2100), issue(2100));
        let place = folder(&old);
        let (mut folder, _) = Folder::open(place.path().to_owned()).unwrap_or_else(|why| panic!("{why}"));
        assert!(folder.look().is_none(), "nothing has changed");
        fs::write(place.path().join("tls.crt"), "half a certifi").expect("it is written");
        let why = folder.look().expect("it has changed").err().expect("it cannot be used");
        assert!(why.contains("/tls.crt: "), "{why}");
        assert!(folder.look().is_none(), "it was told");
        write(&place, &issue(2020));
        let why = folder.look().expect("it has changed").err().expect("it cannot be used");
        assert!(why.contains("/tls.crt: it has expired"), "{why}");
        assert!(folder.look().is_none(), "it was told");
        write(&place, &old);
        assert!(folder.look().is_none(), "it is what is used");
        write(&place, &new);
        assert!(folder.look().expect("it has changed").is_ok());
        assert!(folder.look().is_none(), "it is what is used");
    }
}
