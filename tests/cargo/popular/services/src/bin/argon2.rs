use argon2::password_hash::{
    PasswordHash, PasswordHasher, PasswordVerifier, SaltString, rand_core::OsRng,
};

fn main() -> Result<(), argon2::password_hash::Error> {
    let hash = argon2::Argon2::default()
        .hash_password(b"secret", &SaltString::generate(&mut OsRng))?
        .to_string();
    let parsed = PasswordHash::new(&hash)?;
    assert!(argon2::Argon2::default().verify_password(b"secret", &parsed).is_ok());
    assert!(argon2::Argon2::default().verify_password(b"guess", &parsed).is_err());
    println!("works");
    Ok(())
}
