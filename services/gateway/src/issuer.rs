//! Who issues the tokens that the gateway takes: accounts, or somebody outside of the platform, by OpenID Connect. And what a
//! token of theirs says in the words of the platform.

use std::time::Duration;

use contracts::ids::AccountId;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value};
use service_runtime::Error;
use uuid::Uuid;

use crate::config::IssuerConfig;

/// How far the clocks of an issuer and the gateway may differ, in seconds.
pub const LEEWAY_SECONDS: u64 = 5;

/// The longest `sub`, as OpenID Connect has it.
const SUBJECT_LENGTH_MAX: usize = 255;

/// The longest name of an account.
const NAME_LENGTH_MAX: usize = 100;

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Orders, and sees own orders.
    Customer,
    /// Runs the shop, and sees everyone's orders.
    Operator,
}

impl Role {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "customer" => Some(Self::Customer),
            "operator" => Some(Self::Operator),
            _ => None,
        }
    }

    /// As tokens of accounts have it, and the description of the interface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Operator => "operator",
        }
    }
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Whose token it is.
    pub account: AccountId,
    /// What they may do. Words that are no roles of ours are left out.
    pub roles: Vec<Role>,
    /// Who they are, of a token from outside: accounts knows its own people.
    pub person: Option<Person>,
    /// Until when, in seconds since 1970.
    expires_at: u64,
}

impl Claims {
    /// For how long it is valid from now on.
    pub fn time_left(&self) -> Duration {
        let until = self.expires_at.saturating_add(LEEWAY_SECONDS);
        Duration::from_secs(until.saturating_sub(jsonwebtoken::get_current_timestamp()))
    }

    /// Whether it was valid, and is no more.
    pub fn has_expired(&self) -> bool {
        jsonwebtoken::get_current_timestamp() > self.expires_at.saturating_add(LEEWAY_SECONDS)
    }
}

/// Somebody from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The claim `email`. Without one there is no account, and no mail.
    pub email: Option<String>,
    /// The claim `name`, else `preferred_username`, else the email: 100 characters at the most.
    pub name: String,
}

/// Who issues tokens.
#[derive(Debug)]
pub enum Issuer {
    /// accounts, which signs people in itself.
    Accounts,
    /// Somebody outside.
    Outside(Outside),
}

/// An issuer outside, and how its tokens are read.
#[derive(Debug)]
pub struct Outside {
    /// `iss` of its tokens.
    name: String,
    audience: String,
    /// Ids of its people are made in this namespace (RFC 9562, version 5).
    people: Uuid,
    roles_claim: String,
    default_role: Option<Role>,
}

/// Why the claims of a token whose signature is right are not taken. For the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(&'static str);

impl Issuer {
    /// The issuer that is set. Fails with the name of the setting that is missing or wrong.
    pub fn new(config: &IssuerConfig) -> Result<Self, Error> {
        let needed = [
            ("TOKEN_ISSUER", &config.token_issuer),
            ("TOKEN_AUDIENCE", &config.token_audience),
            ("JWKS_URL", &config.jwks_url),
        ];
        let of_use_with_them =
            [("JWKS_CA_FILE", &config.jwks_ca_file), ("TOKEN_DEFAULT_ROLE", &config.token_default_role)];
        let is_set = |(_, value): &&(&str, &String)| !value.is_empty();
        let Some((set, _)) = needed.iter().chain(&of_use_with_them).find(is_set) else { return Ok(Self::Accounts) };
        if let Some((missing, _)) = needed.iter().find(|setting| !is_set(setting)) {
            let line = format!(
                "{missing} is missing: with {set}, tokens of an issuer outside are taken, and all three must be set"
            );
            return Err(Error::Config(format!("{line}: TOKEN_ISSUER, TOKEN_AUDIENCE and JWKS_URL")));
        }
        if config.token_roles_claim.is_empty() {
            return Err(Error::Config("TOKEN_ROLES_CLAIM is empty: name the claim that lists roles".to_owned()));
        }
        let default_role = match config.token_default_role.as_str() {
            "" => None,
            "customer" => Some(Role::Customer),
            // anybody with an account at the issuer would run the shop
            other => {
                return Err(Error::Config(format!("TOKEN_DEFAULT_ROLE {other}: it can only be `customer`, or empty")));
            }
        };
        Ok(Self::Outside(Outside {
            name: config.token_issuer.clone(),
            audience: config.token_audience.clone(),
            people: Uuid::new_v5(&Uuid::NAMESPACE_URL, config.token_issuer.as_bytes()),
            roles_claim: config.token_roles_claim.clone(),
            default_role,
        }))
    }

    /// What must be true of a token that is signed with a key for these algorithms.
    pub fn validation(&self, algorithms: &[Algorithm]) -> Validation {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.algorithms = algorithms.to_vec();
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        match self {
            Self::Accounts => {
                validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
                validation.set_issuer(&["postbox-accounts"]);
                validation.set_audience(&["postbox"]);
            }
            // OpenID Connect knows no nbf; one that is there counts
            Self::Outside(outside) => {
                validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
                validation.set_issuer(&[&outside.name]);
                validation.set_audience(&[&outside.audience]);
            }
        }
        validation
    }

    /// What a token says whose claims have passed [`Issuer::validation`].
    pub fn claims(&self, told: &Map<String, Value>) -> Result<Claims, Unfit> {
        // the library takes a list of issuers with ours among them; RFC 7519 knows one
        if !told.get("iss").is_some_and(Value::is_string) {
            return Err(Unfit("iss is no text"));
        }
        let subject = told.get("sub").and_then(Value::as_str).ok_or(Unfit("sub is no text"))?;
        let expires_at = told.get("exp").and_then(seconds).ok_or(Unfit("exp is no time"))?;
        match self {
            Self::Accounts => Ok(Claims {
                account: subject.parse().map_err(|_| Unfit("sub is no account"))?,
                roles: roles(told.get("roles").ok_or(Unfit("there are no roles"))?)?,
                person: None,
                expires_at,
            }),
            Self::Outside(outside) => Ok(Claims {
                account: outside.account(subject)?,
                roles: outside.roles(told)?,
                person: Some(person(told)),
                expires_at,
            }),
        }
    }

    /// The name of an issuer outside, as its tokens have it.
    pub fn outside(&self) -> Option<&str> {
        match self {
            Self::Accounts => None,
            Self::Outside(outside) => Some(&outside.name),
        }
    }
}

impl Outside {
    /// An id in the form that accounts gives (UUID version 7, in lower case) is the account's own: people may have come from there with
    /// their orders. Any other subject has an id made of it, always the same.
    fn account(&self, subject: &str) -> Result<AccountId, Unfit> {
        if subject.is_empty() || subject.chars().count() > SUBJECT_LENGTH_MAX {
            return Err(Unfit("sub is empty, or has more than 255 characters"));
        }
        // one that could be made of another subject is never taken as it is: who may choose their own name at the issuer would choose it
        let own = Uuid::try_parse(subject).ok().filter(|id| id.get_version_num() == 7 && id.to_string() == subject);
        Ok(own.unwrap_or_else(|| Uuid::new_v5(&self.people, subject.as_bytes())).into())
    }

    fn roles(&self, told: &Map<String, Value>) -> Result<Vec<Role>, Unfit> {
        let found = at(told, &self.roles_claim).map_or(Ok(Vec::new()), roles)?;
        Ok(if found.is_empty() { self.default_role.into_iter().collect() } else { found })
    }
}

/// The claim of this name, else the one at this path: `realm_access.roles` is `roles` in `realm_access`. The name comes first, for
/// some issuers put a URL before each claim that is not registered.
fn at<'a>(told: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    told.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = told.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}

/// A list of texts. A single text is none, so that nothing needs to guess where one role ends.
fn roles(value: &Value) -> Result<Vec<Role>, Unfit> {
    let wrong = Unfit("the roles are no list of texts");
    let words = value.as_array().ok_or(wrong)?.iter().map(|word| word.as_str().ok_or(wrong));
    let words: Vec<&str> = words.collect::<Result<_, _>>()?;
    Ok(words.into_iter().filter_map(Role::from_word).collect())
}

fn person(told: &Map<String, Value>) -> Person {
    let text = |name: &str| {
        let shown = told.get(name)?.as_str()?.chars().filter(|letter| !letter.is_control());
        let shown: String = shown.collect();
        Some(shown.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let email = text("email");
    let name = text("name").or_else(|| text("preferred_username")).or_else(|| email.clone()).unwrap_or_default();
    Person { email, name: name.chars().take(NAME_LENGTH_MAX).collect() }
}

/// A time in seconds since 1970: a number, perhaps with a fraction.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| Some(Duration::try_from_secs_f64(value.as_f64()?).ok()?.as_secs()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config() -> IssuerConfig {
        IssuerConfig {
            token_issuer: "https://issuer.example".to_owned(),
            token_audience: "shop".to_owned(),
            jwks_url: "https://issuer.example/jwks".to_owned(),
            jwks_ca_file: String::new(),
            token_roles_claim: "roles".to_owned(),
            token_default_role: String::new(),
        }
    }

    fn claims_with(config: &IssuerConfig, changes: &Value) -> Result<Claims, Unfit> {
        let mut told = json!({"iss": config.token_issuer, "sub": "ada", "exp": 1});
        told.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        Issuer::new(config).unwrap().claims(told.as_object().unwrap())
    }

    fn account_of(subject: &str) -> String {
        claims_with(&config(), &json!({"sub": subject})).unwrap().account.to_string()
    }

    #[test]
    fn a_subject_has_always_the_same_id_and_another_at_another_issuer() {
        // uuidgen --sha1 --namespace $(uuidgen --sha1 --namespace @url --name https://issuer.example) --name ada
        assert_eq!(account_of("ada"), "89c3e6ac-83a7-58e7-a8b0-8e7675c815b1");
        let other = IssuerConfig { token_issuer: "https://other.example".to_owned(), ..config() };
        assert_ne!(claims_with(&other, &json!({})).unwrap().account.to_string(), account_of("ada"));
    }

    #[test]
    fn only_an_id_as_accounts_gives_them_is_taken_as_it_is() {
        let given = AccountId::new().to_string();
        assert_eq!(account_of(&given), given);
        let made_of_another = account_of("ada");
        let of_another_kind = "9f1b5a0e-8f2c-4a53-9b7e-0d6f3a1c2b4d".to_owned();
        for subject in [made_of_another, of_another_kind, given.to_uppercase(), given.replace('-', "")] {
            assert_ne!(account_of(&subject), subject.to_lowercase());
        }
        for subject in ["", &"x".repeat(256)] {
            assert!(claims_with(&config(), &json!({"sub": subject})).is_err(), "{subject}");
        }
        assert!(claims_with(&config(), &json!({"sub": "ä".repeat(255)})).is_ok());
    }

    #[test]
    fn roles_are_a_list_of_texts_where_the_setting_says() {
        use Role::{Customer, Operator};
        let keycloak = json!({"realm_access": {"roles": ["offline_access", "operator"]}});
        let with_url = json!({"https://shop.example/roles": ["customer"]});
        for (claim, told, roles) in [
            ("roles", json!({}), Ok(vec![])),
            ("roles", json!({"roles": []}), Ok(vec![])),
            ("roles", json!({"roles": ["admin", "Operator", "customer ", ""]}), Ok(vec![])),
            ("roles", json!({"roles": ["customer", "operator"]}), Ok(vec![Customer, Operator])),
            ("roles", json!({"roles": "operator"}), Err(())),
            ("roles", json!({"roles": {"operator": {}}}), Err(())),
            ("roles", json!({"roles": ["customer", 1]}), Err(())),
            ("roles", json!({"roles": null}), Err(())),
            ("realm_access.roles", keycloak.clone(), Ok(vec![Operator])),
            ("roles", keycloak, Ok(vec![])),
            ("realm_access.roles", json!({"realm_access": ["operator"]}), Ok(vec![])),
            ("https://shop.example/roles", with_url, Ok(vec![Customer])),
        ] {
            let config = IssuerConfig { token_roles_claim: claim.to_owned(), ..config() };
            let found = claims_with(&config, &told).map(|claims| claims.roles).map_err(|_| ());
            assert_eq!(found, roles, "{claim} in {told}");
        }
    }

    #[test]
    fn who_has_no_role_of_ours_has_the_default_one() {
        let config = IssuerConfig { token_default_role: "customer".to_owned(), ..config() };
        for (told, role) in [
            (json!({}), Role::Customer),
            (json!({"roles": ["admin"]}), Role::Customer),
            (json!({"roles": ["operator"]}), Role::Operator),
        ] {
            assert_eq!(claims_with(&config, &told).unwrap().roles, [role]);
        }
    }

    #[test]
    fn a_person_is_called_by_the_best_name_that_there_is() {
        let person = |told: Value| claims_with(&config(), &told).unwrap().person.unwrap();
        let ada = person(json!({"email": "ada@example.com", "name": "Ada", "preferred_username": "al"}));
        assert_eq!((ada.email.as_deref(), ada.name.as_str()), (Some("ada@example.com"), "Ada"));
        assert_eq!(person(json!({"email": "ada@example.com", "preferred_username": "al"})).name, "al");
        assert_eq!(person(json!({"email": "ada@example.com", "name": " "})).name, "ada@example.com");
        assert_eq!(person(json!({"email": "ada@example.com", "name": "\0\n"})).name, "ada@example.com");
        assert_eq!(person(json!({"name": "ä".repeat(200)})).name, "ä".repeat(100));
        assert_eq!(person(json!({"email": 5, "name": ["Ada"]})), Person { email: None, name: String::new() });
    }

    #[test]
    fn a_setting_that_is_missing_or_wrong_is_named() {
        let none = IssuerConfig {
            token_issuer: String::new(),
            token_audience: String::new(),
            jwks_url: String::new(),
            ..config()
        };
        assert!(matches!(Issuer::new(&none), Ok(Issuer::Accounts)));
        let empty = String::new;
        for (wrong, line) in [
            (IssuerConfig { token_issuer: empty(), ..config() }, "TOKEN_ISSUER is missing"),
            (IssuerConfig { token_audience: empty(), ..config() }, "TOKEN_AUDIENCE is missing"),
            (IssuerConfig { jwks_url: empty(), ..config() }, "JWKS_URL is missing"),
            (
                IssuerConfig { jwks_ca_file: "ca.pem".to_owned(), ..none.clone() },
                "TOKEN_ISSUER is missing: with JWKS_CA_FILE",
            ),
            (IssuerConfig { token_default_role: "customer".to_owned(), ..none }, "TOKEN_ISSUER is missing"),
            (IssuerConfig { token_default_role: "operator".to_owned(), ..config() }, "TOKEN_DEFAULT_ROLE operator"),
            (IssuerConfig { token_roles_claim: empty(), ..config() }, "TOKEN_ROLES_CLAIM is empty"),
        ] {
            let error = Issuer::new(&wrong).unwrap_err().to_string();
            assert!(error.starts_with(line), "{error}, and not {line}");
        }
    }
}
