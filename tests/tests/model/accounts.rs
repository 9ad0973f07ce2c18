//! Accounts, as far as shipping asks it: everybody has an address. (That the real one and shipping understand each other, the
//! journeys of the whole platform show.)

use contracts::accounts::v1::{
    Address, Destination, EnsureAccountRequest, EnsureAccountResponse, EraseAccountRequest, EraseAccountResponse,
    GetAccountRequest, GetAccountResponse, GetAddressesRequest, GetAddressesResponse, GetContactsRequest,
    GetContactsResponse, JwksRequest, JwksResponse, LoginRequest, LoginResponse, RegisterRequest, RegisterResponse,
    SetAddressRequest, SetAddressResponse,
    accounts_service_server::{AccountsService, AccountsServiceServer},
};
use tonic::{Request, Response, Status};

/// Knows that everybody has an address.
#[derive(Debug)]
pub struct Accounts;

impl Accounts {
    pub fn routes() -> rpc::Served {
        rpc::Served::new(AccountsServiceServer::new(Self))
    }
}

#[tonic::async_trait]
impl AccountsService for Accounts {
    async fn get_addresses(
        &self,
        request: Request<GetAddressesRequest>,
    ) -> Result<Response<GetAddressesResponse>, Status> {
        let destination =
            |account_id| Destination { account_id, recipient: String::new(), address: Some(Address::default()) };
        let destinations = request.into_inner().account_ids.into_iter().map(destination).collect();
        Ok(Response::new(GetAddressesResponse { destinations, ..GetAddressesResponse::default() }))
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

    async fn ensure_account(
        &self,
        _: Request<EnsureAccountRequest>,
    ) -> Result<Response<EnsureAccountResponse>, Status> {
        Err(not_asked())
    }

    async fn erase_account(&self, _: Request<EraseAccountRequest>) -> Result<Response<EraseAccountResponse>, Status> {
        Err(not_asked())
    }

    async fn get_contacts(&self, _: Request<GetContactsRequest>) -> Result<Response<GetContactsResponse>, Status> {
        Err(not_asked())
    }
}

fn not_asked() -> Status {
    Status::unimplemented("shipping does not ask for this")
}
