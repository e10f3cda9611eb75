package dev.sealwax.kms.aws;

import dev.sealwax.kms.rootkey.RootKey;
import dev.sealwax.kms.testkit.RootKeyContract;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import software.amazon.awssdk.services.kms.KmsClient;

/**
 * A key of KMS does what every root key must: of moto, behind our proxy.
 *
 * <p>Or of AWS, by the owner of an account: {@code -Dsealwax.awsKmsKeys} names two symmetric keys,
 * with a comma between; region and credentials come from the environment, and the endpoint from
 * {@code -Dsealwax.awsEndpoint}, if it is not that of the region. It makes some thousands of calls.
 */
final class AwsKmsContractTest extends RootKeyContract {
  private static AwsProxy proxy;
  private static KmsClient client;
  private static List<String> keys;

  @BeforeAll
  static void chooseKeys() {
    String given = System.getProperty("sealwax.awsKmsKeys");
    if (given == null) {
      proxy = AwsProxy.before(Moto.shared());
      client = Aws.kms(proxy.endpoint()).build();
      keys = List.of(Aws.createKey(client), Aws.createKey(client));
    } else {
      var builder = AwsClients.kms();
      String endpoint = System.getProperty("sealwax.awsEndpoint");
      if (endpoint != null) {
        builder.endpointOverride(java.net.URI.create(endpoint));
      }
      client = builder.build();
      keys = List.of(given.split(",", -1));
    }
  }

  @AfterAll
  static void close() {
    client.close();
    if (proxy != null) {
      proxy.close();
    }
  }

  @Override
  protected RootKey openRootKey() {
    return AwsKmsRootKey.open(client, keys.get(0));
  }

  @Override
  protected RootKey openOtherRootKey() {
    return AwsKmsRootKey.open(client, keys.get(1));
  }

  @Override
  protected int callsPerThread() {
    return 10;
  }
}
