//! Accounts, as far as shipping asks it: everybody has an address. (That the real one and shipping understand each other, the
//! journeys of the whole platform show.)

use contracts::accounts::v1::{
    Address, GetAccountRequest, GetAccountResponse, GetAddressRequest, GetAddressResponse, GetContactRequest,
    GetContactResponse, JwksRequest, JwksResponse, LoginRequest, LoginResponse, RegisterRequest, RegisterResponse,
    SetAddressRequest, SetAddressResponse,
    accounts_service_server::{AccountsService, AccountsServiceServer},
};
use tonic::{Request, Response, Status, service::Routes};

/// Knows that everybody has an address.
#[derive(Debug)]
pub struct Accounts;

impl Accounts {
    pub fn routes() -> Routes {
        Routes::new(AccountsServiceServer::new(Self))
    }
}

#[tonic::async_trait]
impl AccountsService for Accounts {
    async fn get_address(&self, _: Request<GetAddressRequest>) -> Result<Response<GetAddressResponse>, Status> {
        Ok(Response::new(GetAddressResponse { recipient: String::new(), address: Some(Address::default()) }))
    }

    async fn register(&self, _: Request<RegisterRequest>) -> Result<Response<RegisterResponse>, Status> {
        Err(not_asked())
    }

    async fn login(&self, _: Request<LoginRequest>) -> Result<Response<LoginResponse>, Status> {
        Err(not_asked())
    }

    async fn jwks(&self, _: Request<JwksRequest>) -> Result<Response<JwksResponse>, Status> {
        Err(not_asked())
    }

    async fn get_account(&self, _: Request<GetAccountRequest>) -> Result<Response<GetAccountResponse>, Status> {
        Err(not_asked())
    }

    async fn set_address(&self, _: Request<SetAddressRequest>) -> Result<Response<SetAddressResponse>, Status> {
        Err(not_asked())
    }

    async fn get_contact(&self, _: Request<GetContactRequest>) -> Result<Response<GetContactResponse>, Status> {
        Err(not_asked())
    }
}

fn not_asked() -> Status {
    Status::unimplemented("shipping does not ask for this")
}
