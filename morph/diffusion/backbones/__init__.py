"""What a family of models is made of, behind one face for all: autoencoder, texts and denoiser."""
