let archive = `Plain
