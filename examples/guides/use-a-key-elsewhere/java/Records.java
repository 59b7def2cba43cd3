import java.security.KeyStore;
import java.security.Provider;
import java.security.SecureRandom;
import java.security.Security;
import javax.crypto.Cipher;
import javax.crypto.SecretKey;
import javax.crypto.spec.IvParameterSpec;

/** Encrypts and decrypts with an AES key that never leaves its token. */
public class Records {
  public static void main(String[] args) throws Exception {
    // The first slot of "pkcs11-tool --list-slots" is number 0. For a slot by its ID, write "slot = ID".
    Provider hsm = Security.getProvider("SunPKCS11").configure(
        "--name = hsm\nlibrary = " + System.getenv("HSM_LIBRARY") + "\nslotListIndex = 0\n");
    KeyStore keys = KeyStore.getInstance("PKCS11", hsm);
    keys.load(null, System.getenv("HSM_PIN").toCharArray());
    SecretKey key = (SecretKey) keys.getKey(args[0], null); // by the key's label

    byte[] iv = new byte[16];
    new SecureRandom().nextBytes(iv);
    Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding", hsm);
    cipher.init(Cipher.ENCRYPT_MODE, key, new IvParameterSpec(iv));
    byte[] encrypted = cipher.doFinal("a record".getBytes("UTF-8"));
    cipher.init(Cipher.DECRYPT_MODE, key, new IvParameterSpec(iv));
    System.out.println(new String(cipher.doFinal(encrypted), "UTF-8"));
  }
}
