// A strict token address: node provider.mjs '{"client": ..., "alg": ..., "jwks": ...}'; it prints its issuer when it listens.
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const given = JSON.parse(process.argv[2]);
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: given.client, grant_types: ["client_credentials"], redirect_uris: [], response_types: [],
      token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: given.alg, jwks: given.jwks,
    }],
    clientAuthMethods: ["private_key_jwt"],
    enabledJWA: { clientAuthSigningAlgValues: ["RS384", "ES384"] },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
