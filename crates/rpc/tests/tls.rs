//! Services that know each other by certificates: real ones, real handshakes.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Once},
    time::Duration,
};

use futures::FutureExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rpc::{Channel, Tls};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use service_runtime::{Shutdown, config::TlsConfig};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Code, Response, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const BUDGET: Duration = Duration::from_secs(5);

const NAME: &str = "order.test";

struct Ca {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([]).expect("no name is wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("it is signed").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A folder with a certificate of its own for `name` and for 127.0.0.1, which trusts these.
    fn folder(&self, name: &str, trusted: &[&Self]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        self.issue(&folder, name, trusted);
        folder
    }

    fn issue(&self, folder: &TempDir, name: &str, trusted: &[&Self]) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed");
        let trusted: String = trusted.iter().map(|ca| ca.pem.as_str()).collect();
        for (file, text) in [("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", trusted)] {
            fs::write(folder.path().join(file), text).expect("it is written");
        }
    }
}

fn open(folder: &TempDir) -> Tls {
    Tls::open(&TlsConfig { tls_dir: folder.path().display().to_string() }).expect("they can be used")
}

/// A service that serves health alone.
async fn serve(tls: Tls) -> SocketAddr {
    let [address] = testkit::free_addresses();
    tokio::spawn(async move { tls.serve(address, rpc::Served::nothing(), &Shutdown::new()).await });
    testkit::eventually(testkit::SOON, "it listens", async || TcpStream::connect(address).await.is_ok()).await;
    address
}

/// The way to `address` by a name, as to a Service of a cluster.
fn by_name(tls: &Tls, address: SocketAddr) -> Channel {
    let look_up = move || async move { Ok(vec![address]) };
    tls.channel_found_by(&format!("http://{NAME}:1"), look_up).expect("it is a URL")
}

fn by_address(tls: &Tls, address: SocketAddr) -> Channel {
    tls.channel(&format!("http://{address}")).expect("it is a URL")
}

async fn ask(channel: &Channel) -> Result<(), Status> {
    let call = |request| {
        let mut health = HealthClient::new(channel.clone());
        async move { health.check(request).await.map(|answer| Response::new(answer.into_inner())) }
    };
    rpc::ask_once(BUDGET, HealthCheckRequest::default(), call).await.map(drop)
}

async fn refused(channel: &Channel) {
    let status = ask(channel).await.expect_err("it is refused");
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
}

/// Shakes hands without a certificate. Gives the one that the service shows.
async fn without_certificate(ca: &Ca, address: SocketAddr) -> (TlsStream<TcpStream>, CertificateDer<'static>) {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| aws_lc_rs::default_provider().install_default().expect("it is the first"));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).expect("a certificate")).expect("it is a CA");
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from(NAME).expect("a name");
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("its half of the handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("it shows one")[0].clone().into_owned();
    (stream, shown)
}

#[tokio::test]
async fn who_shows_a_certificate_of_the_ca_is_answered() {
    let ca = Ca::new();
    let (service, caller) = (ca.folder(NAME, &[&ca]), ca.folder("gateway.test", &[&ca]));
    let address = serve(open(&service)).await;
    let caller = open(&caller);
    ask(&by_name(&caller, address)).await.expect("by name");
    ask(&by_address(&caller, address)).await.expect("by address");
    ask(&caller.channel(&format!("https://{address}")).expect("it is a URL")).await.expect("by https");
}

#[tokio::test]
async fn who_shows_no_certificate_is_refused() {
    let ca = Ca::new();
    let address = serve(open(&ca.folder(NAME, &[&ca]))).await;
    let (mut stream, _) = without_certificate(&ca, address).await;
    let error = stream.read_u8().await.expect_err("it is not heard");
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    refused(&by_name(&Tls::off(), address)).await;
    refused(&by_address(&Tls::off(), address)).await;
}

#[tokio::test]
async fn who_shows_a_certificate_of_another_ca_is_refused_until_he_has_the_right_one() {
    let (ca, other) = (Ca::new(), Ca::new());
    let address = serve(open(&ca.folder(NAME, &[&ca]))).await;
    let folder = other.folder("gateway.test", &[&ca, &other]);
    let caller = open(&folder);
    let (named, addressed) = (by_name(&caller, address), by_address(&caller, address));
    refused(&named).await;
    refused(&addressed).await;
    ca.issue(&folder, "gateway.test", &[&ca]);
    testkit::eventually(testkit::SOON, "the new one is used", async || ask(&named).await.is_ok()).await;
    ask(&addressed).await.expect("it is used here too");
}

#[tokio::test]
async fn a_service_of_another_ca_or_another_name_is_not_asked() {
    let (ca, other) = (Ca::new(), Ca::new());
    let caller = open(&ca.folder("gateway.test", &[&ca]));
    let stranger = serve(open(&other.folder(NAME, &[&other, &ca]))).await;
    refused(&by_name(&caller, stranger)).await;
    refused(&by_address(&caller, stranger)).await;
    let namesake = serve(open(&ca.folder("payment.test", &[&ca]))).await;
    refused(&by_name(&caller, namesake)).await;
    ask(&by_address(&caller, namesake)).await.expect("its address is right");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_who_comes_next_and_who_is_there_stays() {
    let ca = Ca::new();
    let folder = ca.folder(NAME, &[&ca]);
    let address = serve(open(&folder)).await;
    let caller = open(&ca.folder("gateway.test", &[&ca]));
    let mut watches = Vec::new();
    for channel in [by_name(&caller, address), by_address(&caller, address)] {
        let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.expect("it is answered");
        let mut watch = watch.into_inner();
        watch.message().await.expect("it is answered").expect("it serves");
        watches.push(watch);
    }
    let (_, old) = without_certificate(&ca, address).await;
    ca.issue(&folder, NAME, &[&ca]);
    testkit::eventually(testkit::SOON, "it shows the new one", async || {
        without_certificate(&ca, address).await.1 != old
    })
    .await;
    for watch in &mut watches {
        assert!(watch.message().now_or_never().is_none(), "the connection is cut");
    }
}
