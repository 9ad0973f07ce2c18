//! Tokens as strangers may make them up. Beside the code stands a judge that knows nothing of it: what is signed is checked byte by byte.

use aws_lc_rs::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{accounts::v1::accounts_service_client::AccountsServiceClient, ids::AccountId};
use rpc::Tls;
use serde_json::json;
use tokio::runtime::Builder;

use super::*;
use crate::keys::Source;

/// The name of accounts' key.
const NAME: &str = "first";

const CLAIMS: &str = r#"{"iss":"postbox-accounts","aud":"postbox","sub":"01936b1e-7c5a-7cc2-a3f1-0242ac120002","roles":["customer"],"nbf":1,"exp":99999999999}"#;

/// Makes a token of its header and claims.
type Way = fn(&Maker, &[u8], &[u8]) -> String;

/// How a token is made of what is sent to the target: its first byte chooses, the first line after it is the header, the rest the claims.
const WAYS: [Way; 6] = [
    |_, header, claims| String::from_utf8_lossy(&[header, b".", claims].concat()).into_owned(),
    |maker, header, claims| signed(header, claims, |bytes| maker.accounts.sign(bytes).as_ref().to_vec()),
    |maker, header, claims| signed(header, claims, |bytes| maker.stranger.sign(bytes).as_ref().to_vec()),
    |_, header, claims| signed(header, claims, |_| Vec::new()),
    // what a verifier is tricked into that takes the public key for a shared secret
    |maker, header, claims| {
        signed(header, claims, |bytes| {
            let secret = hmac::Key::new(hmac::HMAC_SHA256, maker.accounts.public_key().as_ref());
            hmac::sign(&secret, bytes).as_ref().to_vec()
        })
    },
    |maker, header, claims| {
        let token = signed(header, claims, |bytes| maker.accounts.sign(bytes).as_ref().to_vec());
        // another spelling of the same bytes
        format!("{token}=")
    },
];

/// What tokens are signed with: the key of accounts, and one that is not.
struct Maker {
    accounts: Ed25519KeyPair,
    stranger: Ed25519KeyPair,
}

impl Maker {
    /// Whether accounts has signed the token, and it is one that counts here.
    fn is_right(&self, token: &str) -> bool {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { return false };
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let json = |part: &str| serde_json::from_slice::<Value>(&bytes(part)?).ok();
        let (Some(header_json), Some(claims_json), Some(signature)) = (json(header), json(claims), bytes(signature))
        else {
            return false;
        };
        let key = UnparsedPublicKey::new(&ED25519, self.accounts.public_key().as_ref());
        let now = f64::from(u32::try_from(jsonwebtoken::get_current_timestamp()).expect("not that late"));
        let time = |name: &str| claims_json[name].as_f64();
        let is_for_us = match &claims_json["aud"] {
            Value::Array(several) => several.contains(&json!("postbox")),
            one => *one == json!("postbox"),
        };
        key.verify(format!("{header}.{claims}").as_bytes(), &signature).is_ok()
            && header_json["alg"] == "EdDSA"
            && header_json["kid"] == NAME
            && header_json.get("crit").is_none_or(Value::is_null)
            && is_for_us
            && claims_json["iss"] == "postbox-accounts"
            && time("exp").is_some_and(|exp| exp > now - 10.0)
            && time("nbf").is_some_and(|nbf| nbf < now + 10.0)
            && claims_json["sub"].as_str().is_some_and(|sub| sub.parse::<AccountId>().is_ok())
            && claims_json["roles"].as_array().is_some_and(|roles| roles.iter().all(Value::is_string))
    }
}

fn signed(header: &[u8], claims: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let content = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(content.as_bytes());
    format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn no_token_is_taken_that_accounts_has_not_signed_for_us() {
    // the clock stands still, so that nobody waits while accounts is asked for a key that it does not have either
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let key = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes are a seed");
    let maker = Maker { accounts: key(1), stranger: key(2) };
    let tokens = {
        let _entered = runtime.enter();
        // nobody is there
        let nowhere = Tls::off().channel_found_by("http://accounts:50051", std::future::pending).expect("a URL");
        let keys = Arc::new(Keys::new(Source::Accounts(AccountsServiceClient::new(nowhere))));
        let public = URL_SAFE_NO_PAD.encode(maker.accounts.public_key().as_ref());
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": NAME, "x": public});
        keys.replace(json!({"keys": [jwk]}).to_string()).expect("a JWK set");
        Tokens::new(Arc::new(Issuer::Accounts), keys)
    };
    let whole = (1_u8..)
        .zip(WAYS)
        .map(|(way, _)| format!("{}{{\"alg\":\"EdDSA\",\"kid\":\"{NAME}\"}}\n{CLAIMS}", char::from(way)));
    let mut examples: Vec<String> = whole.collect();
    for (from, to) in [
        ("\"EdDSA\"", "\"HS256\""),
        ("\"EdDSA\"", "\"none\""),
        ("\"EdDSA\"", "\"EdDSA\",\"crit\":[\"b64\"],\"b64\":false"),
        ("\"EdDSA\"", "\"EdDSA\",\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"),
        ("\"first\"", "\"second\""),
        ("\"postbox\"", "[\"elsewhere\",\"postbox\"]"),
        ("\"postbox-accounts\"", "null"),
        ("99999999999", "1"),
        ("99999999999", "1e300"),
        ("99999999999", "18446744073709551615"),
        ("\"nbf\":1", "\"nbf\":99999999999"),
        ("[\"customer\"]", "\"operator\""),
    ] {
        examples.push(examples[0].replace(from, to));
    }
    let right = WAYS[1](&maker, format!(r#"{{"alg":"EdDSA","kid":"{NAME}"}}"#).as_bytes(), CLAIMS.as_bytes());
    assert!(maker.is_right(&right) && runtime.block_on(tokens.verify(&right)).is_ok());

    fuzzing::target!("tokens", &examples, |bytes| {
        let Some((&way, rest)) = bytes.split_first() else { return };
        let mut lines = rest.splitn(2, |&byte| byte == b'\n');
        let (header, claims) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let token = WAYS[usize::from(way) % WAYS.len()](&maker, header, claims);
        let verified = runtime.block_on(tokens.verify(&token));
        if let Ok(claims) = &verified {
            assert!(maker.is_right(&token), "taken, and not right: {token}");
            let said = token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
            let said: Value = serde_json::from_slice(&said.expect("it was read")).expect("it was read");
            assert_eq!(said["sub"].as_str().and_then(|sub| sub.parse().ok()), Some(claims.account));
            let roles = said["roles"].as_array().expect("they are a list").iter().filter_map(Value::as_str);
            let ours: Vec<&str> = roles.filter(|role| ["customer", "operator"].contains(role)).collect();
            assert_eq!(claims.roles.iter().map(|role| role.word()).collect::<Vec<_>>(), ours);
        }
        // asked again, the answer is the same; what is known need not be verified again
        let again = runtime.block_on(tokens.verify(&token));
        assert_eq!(again, verified);
        if let Some(known) = tokens.known(&token) {
            assert_eq!(verified, Ok(known));
        }
    });
}
